// Operators of torch's own that the stable ABI has no function for, called by name.
#pragma once
#include <array>
#include "tensors.h"

namespace textnn::ops {

template <class... A>
Tensor call_torch(const char* name, const char* overload, const A&... arguments) {
  std::array<StableIValue, sizeof...(A)> stack{torch::stable::detail::from(arguments)...};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

// out [M, N] = a [M, K] b [K, N]; views are fine. On a GPU: cuBLAS.
inline void mm_out(const Tensor& out, const Tensor& a, const Tensor& b) { call_torch("aten::mm", "out", a, b, out); }
// With results made here: autocast, in which an operator may run, would make them halves.
inline Tensor mm(const Tensor& a, const Tensor& b) {
  const Tensor out = empty(a, {a.size(0), b.size(1)});
  mm_out(out, a, b);
  return out;
}

}  // namespace textnn::ops
