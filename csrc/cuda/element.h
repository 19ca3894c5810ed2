// What tensors hold, and what kernels compute in: float32 and float64 as they are, float16 and bfloat16 in float32. The
// two halves are names for their bits here, so that the operators need no CUDA header; storage.h reads and writes them.
#pragma once
#include <cstdint>

namespace textnn::cuda {

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <class E>
struct Computed {
  using Type = float;
};
template <>
struct Computed<double> {
  using Type = double;
};
template <class E>
using Compute = typename Computed<E>::Type;

using Stream = void*;  // a cudaStream_t

// The architecture that the code which runs on the current device was compiled for, 75 for sm_75: less than the
// device's own where it comes from older PTX. (sizes.cu)
int compiled_architecture();

}  // namespace textnn::cuda
