// How a host launches kernels: the three spellings that kernel sources use for what only nvcc can read.
//
//   CUDA_LAUNCH((kernel<T, 4>), grid, block, shared, stream, arguments...)    kernel<T, 4><<<...>>>(arguments...)
//   CUDA_LAUNCH_COOPERATIVE(kernel, grid, block, shared, stream, ...)         the same with grid.sync()
//   CUDA_DYNAMIC_SHARED(T, name);                                             extern __shared__ T name[]
//
// The first two return a cudaError_t, which is also left for cudaGetLastError. What goes wrong while the kernel runs is
// a std::runtime_error.
#pragma once
#include <type_traits>
#include "execution.h"
#include "runtime_api.h"

namespace cuemu {

struct LaunchConfig {
  const char* name;
  const void* kernel;
  bool cooperative;
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};

// Calls body(arguments) on every thread.
cudaError_t launch(const LaunchConfig& config, void (*body)(const void* arguments), const void* arguments);

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const char* name, bool cooperative, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                          size_t shared, cudaStream_t stream, Arguments... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel parameters are copied as bytes");
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "kernel parameters take 4 KB at most");
  // Converts the arguments once, as a call of the kernel would.
  return [&](Parameters... parameters) {
    const auto bound = [=] { kernel(parameters...); };
    const auto body = [](const void* b) { (*static_cast<decltype(&bound)>(b))(); };
    return launch({name, reinterpret_cast<const void*>(kernel), cooperative, grid, block, shared, stream}, body,
                  &bound);
  }(arguments...);
}

}  // namespace cuemu

#define CUDA_LAUNCH(kernel, ...) ::cuemu::launch_kernel(#kernel, false, kernel, __VA_ARGS__)
#define CUDA_LAUNCH_COOPERATIVE(kernel, ...) ::cuemu::launch_kernel(#kernel, true, kernel, __VA_ARGS__)
#define CUDA_DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(::cuemu::current->block->shared)
