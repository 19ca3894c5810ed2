// One bit for each id of the vocabulary. Which distinct token an id is follows from the bits before it:
//
//   bits [V / 32]    set with atomics by the tokens
//   sums [blocks]    bits in each tile of kTile words             only where there is more than one tile
//   first [V / 32]   bits before each word, from the tiles before and a scan within the tile; also writes the ids
//   token [N]        first[word] + bits before in the word
//
// A vocabulary of 50,000 words is 6 KB of bits, so the passes over V cost no more than their launches.
#include "distinct.h"
#include "row_lanes.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kTile = 4 * kThreads;

int64_t words_of(int64_t V) { return (V + 31) / 32; }
int64_t tiles_of(int64_t V) { return std::max<int64_t>(1, (words_of(V) + kTile - 1) / kTile); }

struct Bits {
  int64_t words, tiles;
  unsigned* bits;  // [words]
  int32_t* first;  // [words]
  int32_t* sums;   // [tiles]
};

__global__ void __launch_bounds__(kThreads) check_ids_kernel(const int64_t* ids, int64_t N, int64_t V) {
  for (int64_t n = first_element(); n < N; n += element_stride()) is_row(ids[n], V, n);
}

__global__ void __launch_bounds__(kThreads) mark_kernel(DistinctTokens a, Bits s) {
  for (int64_t n = first_element(); n < a.N; n += element_stride()) {
    const int64_t id = a.ids[n];
    if (is_row(id, a.V, n)) atomicOr(s.bits + id / 32, 1u << (id % 32));
  }
}

// The sum of a value over the threads before this one, and over all of the block.
struct Scan {
  int before, all;
};
__device__ Scan scan_block(int value, int* warp_sums) {
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  int sum = value;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const int other = __shfl_up_sync(~0u, sum, d);
    if (lane >= d) sum += other;
  }
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  Scan scan{sum - value, 0};
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) scan.before += warp_sums[w];
    scan.all += warp_sums[w];
  }
  return scan;
}

__global__ void __launch_bounds__(kThreads) sums_kernel(Bits s) {
  __shared__ int warp_sums[kWarps];
  int sum = 0;
  for (int i = 0; i < kTile; i += kThreads) {
    const int64_t w = blockIdx.x * int64_t(kTile) + i + threadIdx.x;
    if (w < s.words) sum += __popc(s.bits[w]);
  }
  const Scan scan = scan_block(sum, warp_sums);
  if (threadIdx.x == 0) s.sums[blockIdx.x] = scan.all;
}

__global__ void __launch_bounds__(kThreads) first_kernel(DistinctTokens a, Bits s) {
  __shared__ int warp_sums[2][kWarps];
  int sum = 0;
  for (int64_t tile = threadIdx.x; tile < blockIdx.x; tile += kThreads) sum += s.sums[tile];
  int next = scan_block(sum, warp_sums[0]).all;

  // Four neighbouring words for each thread.
  constexpr int kWords = kTile / kThreads;
  const int64_t begin = blockIdx.x * int64_t(kTile) + int(threadIdx.x) * kWords;
  unsigned bits[kWords];
  sum = 0;
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    bits[i] = begin + i < s.words ? s.bits[begin + i] : 0;
    sum += __popc(bits[i]);
  }
  const Scan scan = scan_block(sum, warp_sums[1]);
  if (blockIdx.x + 1 == gridDim.x && threadIdx.x == 0) *a.count = next + scan.all;
  next += scan.before;
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    if (begin + i < s.words) s.first[begin + i] = next;
    for (unsigned left = bits[i]; left; left &= left - 1) a.distinct[next++] = (begin + i) * 32 + __ffs(int(left)) - 1;
  }
}

__global__ void __launch_bounds__(kThreads) token_kernel(DistinctTokens a, Bits s) {
  for (int64_t n = first_element(); n < a.N; n += element_stride()) {
    const int64_t id = a.ids[n];
    const unsigned before = (1u << (id % 32)) - 1;
    a.token[n] = s.first[id / 32] + __popc(s.bits[id / 32] & before);
  }
}

}  // namespace

int64_t distinct_scratch(int64_t V) { return 2 * words_of(V) + tiles_of(V); }

void distinct_tokens(Stream stream, const DistinctTokens& a) {
  const int64_t words = words_of(a.V), tiles = tiles_of(a.V);
  const Bits s{words, tiles, reinterpret_cast<unsigned*>(a.scratch), a.scratch + words, a.scratch + 2 * words};
  if (words) check(cudaMemsetAsync(s.bits, 0, size_t(words) * 4, native(stream)), "distinct_tokens");
  const unsigned blocks = blocks_for(a.N, kThreads);
  if (a.N) check(CUDA_LAUNCH(mark_kernel, blocks, kThreads, 0, native(stream), a, s), "distinct_tokens: marks");
  if (tiles > 1)
    check(CUDA_LAUNCH(sums_kernel, unsigned(tiles), kThreads, 0, native(stream), s), "distinct_tokens: sums");
  check(CUDA_LAUNCH(first_kernel, unsigned(tiles), kThreads, 0, native(stream), a, s), "distinct_tokens: ids");
  if (a.N) check(CUDA_LAUNCH(token_kernel, blocks, kThreads, 0, native(stream), a, s), "distinct_tokens: tokens");
}

void check_ids(Stream stream, const int64_t* ids, int64_t N, int64_t V) {
  if (N == 0) return;
  check(CUDA_LAUNCH(check_ids_kernel, blocks_for(N, kThreads), kThreads, 0, native(stream), ids, N, V), "check_ids");
}

}  // namespace textnn::cuda
