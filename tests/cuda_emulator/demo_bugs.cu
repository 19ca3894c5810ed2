// One kernel with many mistakes to choose from, the launches that a GPU refuses, and what the host sees of the device.
#include <string>
#include "cuda_emulator.h"
#include "demo.h"

namespace {

enum Bug {
  kDivergentBarrier,
  kBarrierAfterReturn,
  kDynamicOverrun,
  kStaticOverrun,
  kUninitialised,
  kSharedRace,
  kLanesMissing,
  kNotInMask,
  kDifferentOperations,
  kGlobalRace,
  kReadBeforeStart,
  kWriteBehindEnd,
  kDeepStack,
  kDeadlock,
  kTrap,
  kAssertion,
  kException,
  kMisaligned,
  kWarpRace,
  kHalfRace,
  kMissingFence,
  kGridSync,
  kGridSyncMissed,
  kReadByOtherBlock,
  kMisalignedMatrix,
  kReadOnly,
  kReuse,
};

__device__ float deep(int depth) {
  volatile float local[1000];
  for (int i = 0; i < 1000; ++i) local[i] = float(depth);
  return depth ? deep(depth - 1) + local[depth % 1000] : local[0];
}

// Launched with blocks of 64 threads and 64 floats of dynamic shared memory; in and out have 64 floats for each block.
__global__ void bug_kernel(Bug bug, const float* in, float* out, unsigned* counter) {
  CUDA_DYNAMIC_SHARED(float, dynamic);
  __shared__ float fixed[64];
  __shared__ __half halves[64];
  const int i = threadIdx.x, lane = i % 32, g = blockIdx.x * 64 + i;
  switch (bug) {
    case kDivergentBarrier:
      if (i < 40)
        __syncthreads();
      else
        __syncthreads();
      break;
    case kBarrierAfterReturn:
      if (i == 3) return;
      __syncthreads();
      break;
    case kDynamicOverrun:
      dynamic[i + 1] = 1;
      break;
    case kStaticOverrun:
      fixed[i + 1] = 1;
      break;
    case kUninitialised:
      if (i != 5) fixed[i] = 1;
      __syncthreads();
      out[g] = fixed[63 - i];
      break;
    case kSharedRace:
      dynamic[i] = 0;
      __syncthreads();
      dynamic[i] = float(i);
      out[g] = dynamic[63 - i];
      break;
    case kLanesMissing:
      if (lane < 16) out[g] = __shfl_xor_sync(~0u, 1.0f, 1);
      break;
    case kNotInMask:
      out[g] = __shfl_xor_sync(0xffffu, 1.0f, 1);
      break;
    case kDifferentOperations:
      if (lane < 16)
        out[g] = __shfl_xor_sync(~0u, 1.0f, 1);
      else
        out[g] = float(__ballot_sync(~0u, 1));
      break;
    case kGlobalRace:
      out[i] = float(blockIdx.x);
      break;
    case kReadBeforeStart:
      out[g] = in[g - 1];
      break;
    case kWriteBehindEnd:
      out[g + 1] = in[g];
      break;
    case kDeepStack:
      out[g] = deep(i == 9 ? 52 : 0);
      break;
    case kDeadlock:
      if (i == 0)
        __syncwarp(3u);
      else
        __syncthreads();
      break;
    case kTrap:
      if (i == 7) __trap();
      break;
    case kAssertion:
      assert(i != 7 && "seven");
      break;
    case kException:
      if (i == 7) std::string().at(1);
      break;
    case kMisaligned:
      out[g] = reinterpret_cast<const float4*>(in + 1)[0].x;
      break;
    case kWarpRace:  // a shuffle waits for the warp, but does not order memory
      fixed[i] = float(i);
      out[g] = __shfl_xor_sync(~0u, 1.0f, 1);
      out[g] += fixed[i ^ 1];
      break;
    case kHalfRace:  // neighbours in one word do not disturb each other, the same half does
      halves[i] = __half(in[g]);
      if (i == 9) halves[8] = __half(in[0]);
      __syncthreads();
      out[g] = __half2float(halves[63 - i]);
      break;
    case kMissingFence:
      out[blockIdx.x * 64 + i] = 1;
      __syncthreads();
      if (i == 0 && atomicAdd(counter, 1) == gridDim.x - 1) out[g] += out[(blockIdx.x + 1) % gridDim.x * 64];
      break;
    case kGridSync:
      cooperative_groups::this_grid().sync();
      break;
    case kGridSyncMissed:
      if (blockIdx.x == 0) return;
      cooperative_groups::this_grid().sync();
      break;
    case kReadByOtherBlock:  // read by all blocks, written by the last of them
      dynamic[i] = out[i];
      if (blockIdx.x == gridDim.x - 1) out[i] = dynamic[i] + 1;
      break;
    case kMisalignedMatrix: {
      nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 8, nvcuda::wmma::precision::tf32, nvcuda::wmma::row_major>
          f;
      nvcuda::wmma::load_matrix_sync(f, dynamic + 1, 8);
      break;
    }
    case kReadOnly:
      out[g] = 0;
      for (int k = 0; k < 64; ++k) out[g] += in[k];
      break;
    case kReuse:
      for (int round = 0; round < 3; ++round) {
        dynamic[i] = float(round);
        __syncthreads();
        out[g] = dynamic[63 - i];
        __syncthreads();
      }
      break;
  }
}

__global__ void nothing_kernel() {}
__global__ void count_kernel(unsigned* counter, double scale) { atomicAdd(counter, unsigned(scale)); }

}  // namespace

DEMO int demo_bug(int bug, int blocks, int cooperative, const float* in, float* out, unsigned* counter) {
  return reported([&] {
    return cooperative ? CUDA_LAUNCH_COOPERATIVE(bug_kernel, blocks, 64, 256, nullptr, Bug(bug), in, out, counter)
                       : CUDA_LAUNCH(bug_kernel, blocks, 64, 256, nullptr, Bug(bug), in, out, counter);
  });
}

// Counts its threads.
DEMO int demo_launch(const unsigned* grid, const unsigned* block, size_t shared, int cooperative, void* stream,
                     unsigned* counter) {
  const dim3 g(grid[0], grid[1], grid[2]), b(block[0], block[1], block[2]);
  const auto s = static_cast<cudaStream_t>(stream);
  return reported([&] {
    return cooperative ? CUDA_LAUNCH_COOPERATIVE(count_kernel, g, b, shared, s, counter, 1)
                       : CUDA_LAUNCH(count_kernel, g, b, shared, s, counter, 1);
  });
}
DEMO int demo_nothing(int blocks, int threads) {
  return reported([&] { return CUDA_LAUNCH(nothing_kernel, blocks, threads, 0, nullptr); });
}
DEMO int demo_allow_shared(int bytes) {
  return cudaFuncSetAttribute(count_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}
DEMO int demo_occupancy(int threads, size_t shared, int* blocks) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, count_kernel, threads, shared);
}
DEMO int demo_attribute(int attribute, int* value) {
  return cudaDeviceGetAttribute(value, cudaDeviceAttr(attribute), 0);
}
DEMO int demo_device_count(int* count) { return cudaGetDeviceCount(count); }
DEMO int demo_last_error() { return cudaGetLastError(); }
DEMO const char* demo_error_name(int error) { return cudaGetErrorName(cudaError_t(error)); }
DEMO int demo_fill_and_copy(void* x, int value, size_t bytes, void* y) {
  if (const cudaError_t error = cudaMemsetAsync(x, value, bytes)) return error;
  return cudaMemcpyAsync(y, x, bytes, cudaMemcpyDeviceToDevice);
}
