// What every .cu file starts with: CUDA itself under nvcc; elsewhere an emulator that runs the same source on the CPU,
// a fiber for each thread. Kernels use three spellings that both understand, all the rest is plain CUDA:
//
//   CUDA_DYNAMIC_SHARED(T, name);                                   extern __shared__ T name[]
//   CUDA_LAUNCH((kern<T, 4>), grid, block, smem, stream, args...)   kern<T, 4><<<grid, block, smem, stream>>>(args...)
//   CUDA_LAUNCH_COOPERATIVE(kern, grid, block, smem, stream, ...)   cudaLaunchCooperativeKernel, for grid.sync()
//
// Both launches are expressions of type cudaError_t, for check().
#pragma once
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include "element.h"
#if defined(__CUDACC__)
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define CUDA_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char textnn_dynamic_smem[]; \
  T* name = reinterpret_cast<T*>(textnn_dynamic_smem)
#define CUDA_LAUNCH(kernel, ...) ::textnn::cuda::launch(false, kernel, __VA_ARGS__)
#define CUDA_LAUNCH_COOPERATIVE(kernel, ...) ::textnn::cuda::launch(true, kernel, __VA_ARGS__)

namespace textnn::cuda {

// The arguments are converted to the kernel's parameters first.
template <class... P, class... A>
cudaError_t launch(bool cooperative, void (*kernel)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t stream,
                   A... arguments) {
  return [&](P... parameters) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&parameters))..., nullptr};
    const void* function = reinterpret_cast<const void*>(kernel);
    return cooperative ? cudaLaunchCooperativeKernel(function, grid, block, pointers, smem, stream)
                       : cudaLaunchKernel(function, grid, block, pointers, smem, stream);
  }(arguments...);
}

}  // namespace textnn::cuda
#else
#include "cuda_emulator.h"
#endif

namespace textnn::cuda {

inline cudaStream_t native(Stream stream) { return static_cast<cudaStream_t>(stream); }

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string("textnn: CUDA could not run ") + what + ": " + cudaGetErrorString(error));
}

// Blocks of `threads` for n elements, at most as many as keep a large GPU busy: kernels step through the rest.
inline unsigned blocks_for(int64_t n, int64_t threads) {
  return unsigned(std::max<int64_t>(1, std::min<int64_t>((n + threads - 1) / threads, 8192)));
}

// The elements of a kernel whose threads step through all of them.
__device__ inline int64_t first_element() { return blockIdx.x * int64_t(blockDim.x) + threadIdx.x; }
__device__ inline int64_t element_stride() { return int64_t(gridDim.x) * blockDim.x; }

}  // namespace textnn::cuda

// Every type of elements, for explicit instantiations.
#define TEXTNN_FOR_EACH_ELEMENT(f) f(float) f(double) f(::textnn::cuda::Float16) f(::textnn::cuda::BFloat16)
