// What the pooling operators ask of their arguments, on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

// Returns F.
inline int64_t check_pool(const Tensor& x, bool flat) {
  STD_TORCH_CHECK(x.dim() == (flat ? 2 : 3), "textnn: x must have ", flat ? 2 : 3, " dimensions, got shape ",
                  shape_of(x));
  return x.size(x.dim() - 1);
}

inline void check_pool_gradient(const Tensor& dy, const Tensor& at, const Tensor& x, int64_t B, int64_t F) {
  check_shape("the gradient", dy, {B, 2 * F});
  check_shape("at", at, {B, F});
  check_dtype("the gradient", dy, x);
  STD_TORCH_CHECK(at.scalar_type() == ScalarType::Int, "textnn: at must be int32");
}

}  // namespace textnn::ops
