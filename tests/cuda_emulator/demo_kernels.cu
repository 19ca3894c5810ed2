// Kernels that use each part of the language that the emulator knows, for test_emulator.py. Correct ones; those with
// bugs are in demo_bugs.cu.
#include "cuda_emulator.h"
#include "demo.h"

namespace cg = cooperative_groups;

namespace {

enum Shuffle { kIndex, kUp, kDown, kXor };

template <class T>
__global__ void shuffle_kernel(int kind, const T* x, int operand, int width, T* out) {
  const int i = threadIdx.x;
  const T v = x[i];
  out[i] = kind == kIndex  ? __shfl_sync(~0u, v, operand + i, width)
           : kind == kUp   ? __shfl_up_sync(~0u, v, operand, width)
           : kind == kDown ? __shfl_down_sync(~0u, v, operand, width)
                           : __shfl_xor_sync(~0u, v, operand, width);
}

// Halves of each warp go separate ways and work among themselves.
__global__ void branches_kernel(const int* x, int* out) {
  const int i = threadIdx.x;
  if (i & 4)
    out[i] = __shfl_xor_sync(0xf0f0f0f0u, x[i], 3);
  else
    out[i] = __shfl_down_sync(0x0f0f0f0fu, x[i], 1, 4) + 1;
  if (i % 32 < 16)
    __syncwarp(0xffffu);
  else
    __syncwarp(0xffff0000u);
}

__global__ void votes_kernel(const int* x, unsigned* out) {
  const int i = threadIdx.x, n = blockDim.x;
  const cg::thread_block block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<8>(block);
  unsigned* o = out + i;
  *o = __ballot_sync(~0u, x[i] & 1), o += n;
  *o = __any_sync(~0u, x[i] == 7), o += n;
  *o = __all_sync(~0u, x[i] >= 0), o += n;
  *o = __match_any_sync(~0u, x[i]), o += n;
  *o = __reduce_add_sync(~0u, x[i]), o += n;
  *o = __reduce_min_sync(~0u, x[i]), o += n;
  *o = __reduce_max_sync(~0u, x[i]), o += n;
  *o = __reduce_xor_sync(~0u, unsigned(x[i])), o += n;
  *o = __syncthreads_count(x[i] & 1), o += n;
  *o = __syncthreads_or(x[i] == 7), o += n;
  *o = __syncthreads_and(x[i] >= 0), o += n;
  *o = tile.ballot(x[i] & 1), o += n;
  *o = tile.shfl(x[i], 2), o += n;
  *o = tile.thread_rank() + 100 * tile.meta_group_rank(), o += n;
}

__global__ void ranks_kernel(unsigned long long* out) {
  const auto grid = cg::this_grid();
  unsigned long long* o = out + 6 * grid.thread_rank();
  *o++ = grid.block_rank();
  *o++ = cg::this_thread_block().thread_rank();
  *o++ = grid.size();
  *o++ = grid.num_blocks();
  *o++ = threadIdx.x + 1000 * threadIdx.y + 1000000 * threadIdx.z;
  *o++ = blockIdx.x + 1000 * blockIdx.y + 1000000 * blockIdx.z;
}

template <class T>
__global__ void add_kernel(const T* x, int n, T* sum) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(sum, x[i]);
}

// out: maximum, minimum, or, and, the sum of what an exchange took out, numbers drawn by compare-and-swap
__global__ void atomics_kernel(const int* x, int n, int* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  atomicMax(out, x[i]);
  atomicMin(out + 1, x[i]);
  atomicOr(out + 2, x[i]);
  atomicAnd(out + 3, x[i]);
  atomicAdd(out + 4, atomicExch(out + 6, x[i]));
  for (int seen = out[0] * 0, old; (old = atomicCAS(out + 5, seen, seen + 1)) != seen;) seen = old;
}

__global__ void halves_kernel(const unsigned short* bits, float* half_value, float* bfloat16_value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  half_value[i] = __half2float(__ushort_as_half(bits[i]));
  bfloat16_value[i] = __bfloat162float(__ushort_as_bfloat16(bits[i]));
}

__global__ void to_halves_kernel(const float* x, int n, unsigned short* half_bits, unsigned short* bfloat16_bits) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  half_bits[i] = __half_as_ushort(__float2half_rn(x[i]));
  bfloat16_bits[i] = __bfloat16_as_ushort(__float2bfloat16(x[i]));
}

__global__ void intrinsics_kernel(const int* x, int* out) {
  const int i = threadIdx.x, n = blockDim.x;
  out[i] = __popc(unsigned(x[i]));
  out[n + i] = __ffs(x[i]);
  out[2 * n + i] = __clz(x[i]);
  out[3 * n + i] = __float_as_int(__int_as_float(x[i]));
  out[4 * n + i] = __float_as_int(rsqrtf(4.0f) + __fdividef(1.0f, 4.0f) + __frcp_rn(8.0f));
  out[5 * n + i] = max(x[i], 3) - min(x[i], 3);
}

__global__ void copy_kernel(const float* x, float* y) {
  const int i = threadIdx.x;
  reinterpret_cast<float4*>(y)[i] = __ldg(reinterpret_cast<const float4*>(x) + i);
}

// The sum of x[0..n): registers, warps, the block, an atomic for the grid.
__global__ void reduce_kernel(const float* __restrict__ x, int n, float* sum) {
  __shared__ float part[32];
  float s = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += x[i];
  for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(~0u, s, o);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  s = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0;
  for (int o = 16; o; o >>= 1) s += __shfl_down_sync(~0u, s, o);
  if (threadIdx.x == 0) atomicAdd(sum, s);
}

// The same in one pass without floating-point atomics: the block that comes last adds what all have left.
__global__ void reduce_last_kernel(const float* __restrict__ x, int n, float* part, unsigned* tickets, float* sum) {
  __shared__ float s[64];
  __shared__ bool last;
  const int t = threadIdx.x, blocks = gridDim.x;
  s[t] = 0;
  for (int i = blockIdx.x * 64 + t; i < n; i += blocks * 64) s[t] += x[i];
  __syncthreads();
  if (t == 0) {
    float all = 0;
    for (float v : s) all += v;
    part[blockIdx.x] = all;
    __threadfence();
    last = atomicInc(tickets, blocks - 1) == unsigned(blocks - 1);
  }
  __syncthreads();
  if (!last) return;
  s[t] = 0;
  for (int b = t; b < blocks; b += 64) s[t] += part[b];
  for (int half = 32; half; half /= 2) {
    __syncthreads();
    if (t < half) s[t] += s[t + half];
  }
  if (t == 0) *sum = s[0];
}

// Blocks hand a token on, each spinning until its turn comes.
__global__ void relay_kernel(int* token, int rounds) {
  const int blocks = gridDim.x;
  for (int r = 0; r < rounds; ++r) {
    if (threadIdx.x == 0) {
      while (atomicAdd(token, 0) != r * blocks + int(blockIdx.x)) __nanosleep(100);
      __threadfence();
      atomicAdd(token, 1);
    }
    __syncthreads();
  }
}

// Warps exchange through shared memory that they alone use.
__global__ void warp_tiles_kernel(const float* x, float* out) {
  __shared__ float tile[4][32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, i = threadIdx.x;
  for (int round = 0; round < 3; ++round) {
    tile[warp][lane] = x[i] + round;
    __syncwarp();
    out[i * 3 + round] = tile[warp][31 - lane];
    __syncwarp();
  }
}

__global__ void subnormal_kernel(const float* x, float* out) { out[threadIdx.x] = x[threadIdx.x] * 0.5f; }

__global__ void say_kernel(int* out) {
  assert(out != nullptr);
  out[threadIdx.x] = 1;
  if (threadIdx.x == 1) printf("thread %u of block %u\n", threadIdx.x, blockIdx.x);
}

template <class T>
int shuffle(int kind, const void* x, int n, int operand, int width, void* out) {
  return reported([&] {
    return CUDA_LAUNCH(shuffle_kernel<T>, 1, n, 0, nullptr, kind, static_cast<const T*>(x), operand, width,
                       static_cast<T*>(out));
  });
}

template <class T>
int add(const void* x, int n, void* sum) {
  return reported([&] {
    return CUDA_LAUNCH((add_kernel<T>), (n + 127) / 128, 128, 0, nullptr, static_cast<const T*>(x), n,
                       static_cast<T*>(sum));
  });
}

}  // namespace

DEMO const char* demo_failure() { return demo_report().c_str(); }

DEMO int demo_shuffle(int kind, char type, const void* x, int n, int operand, int width, void* out) {
  switch (type) {
    case 'i':
      return shuffle<int>(kind, x, n, operand, width, out);
    case 'f':
      return shuffle<float>(kind, x, n, operand, width, out);
    case 'd':
      return shuffle<double>(kind, x, n, operand, width, out);
    case 'l':
      return shuffle<long long>(kind, x, n, operand, width, out);
    default:
      return shuffle<__half>(kind, x, n, operand, width, out);
  }
}
DEMO int demo_add(char type, const void* x, int n, void* sum) {
  switch (type) {
    case 'i':
      return add<int>(x, n, sum);
    case 'I':
      return add<unsigned>(x, n, sum);
    case 'L':
      return add<unsigned long long>(x, n, sum);
    case 'f':
      return add<float>(x, n, sum);
    default:
      return add<double>(x, n, sum);
  }
}
DEMO int demo_branches(const int* x, int n, int* out) {
  return reported([&] { return CUDA_LAUNCH(branches_kernel, 1, n, 0, nullptr, x, out); });
}
DEMO int demo_votes(const int* x, int n, unsigned* out) {
  return reported([&] { return CUDA_LAUNCH(votes_kernel, 1, n, 0, nullptr, x, out); });
}
DEMO int demo_ranks(unsigned long long* out) {
  return reported([&] { return CUDA_LAUNCH(ranks_kernel, dim3(2, 3, 2), dim3(4, 3, 2), 0, nullptr, out); });
}
DEMO int demo_atomics(const int* x, int n, int* out) {
  return reported([&] { return CUDA_LAUNCH(atomics_kernel, (n + 63) / 64, 64, 0, nullptr, x, n, out); });
}
DEMO int demo_halves(const unsigned short* bits, int n, float* half_value, float* bfloat16_value) {
  return reported(
      [&] { return CUDA_LAUNCH(halves_kernel, n / 128, 128, 0, nullptr, bits, half_value, bfloat16_value); });
}
DEMO int demo_to_halves(const float* x, int n, unsigned short* half_bits, unsigned short* bfloat16_bits) {
  return reported(
      [&] { return CUDA_LAUNCH(to_halves_kernel, (n + 127) / 128, 128, 0, nullptr, x, n, half_bits, bfloat16_bits); });
}
DEMO int demo_intrinsics(const int* x, int n, int* out) {
  return reported([&] { return CUDA_LAUNCH(intrinsics_kernel, 1, n, 0, nullptr, x, out); });
}
DEMO int demo_copy(const float* x, int n, float* y) {
  return reported([&] { return CUDA_LAUNCH(copy_kernel, 1, n / 4, 0, nullptr, x, y); });
}
DEMO int demo_reduce(const float* x, int n, float* sum, int grid, int block) {
  return reported([&] { return CUDA_LAUNCH(reduce_kernel, grid, block, 0, nullptr, x, n, sum); });
}
DEMO int demo_reduce_last(const float* x, int n, float* part, unsigned* tickets, float* sum, int grid) {
  return reported([&] { return CUDA_LAUNCH(reduce_last_kernel, grid, 64, 0, nullptr, x, n, part, tickets, sum); });
}
DEMO int demo_relay(int* token, int rounds, int blocks) {
  return reported([&] { return CUDA_LAUNCH_COOPERATIVE(relay_kernel, blocks, 64, 0, nullptr, token, rounds); });
}
DEMO int demo_warp_tiles(const float* x, float* out) {
  return reported([&] { return CUDA_LAUNCH(warp_tiles_kernel, 1, 128, 0, nullptr, x, out); });
}
DEMO int demo_subnormal(const float* x, int n, float* out) {
  return reported([&] { return CUDA_LAUNCH(subnormal_kernel, 1, n, 0, nullptr, x, out); });
}
DEMO int demo_say(int* out) {
  return reported([&] { return CUDA_LAUNCH(say_kernel, 1, 4, 0, nullptr, out); });
}
