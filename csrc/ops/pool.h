// What the pooling operators ask of their arguments, on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

// Returns F.
inline int64_t check_pool(const Tensor& x, bool flat) {
  STD_TORCH_CHECK(x.dim() == (flat ? 2 : 3), "textnn: x must have ", flat ? 2 : 3, " dimensions, got shape ",
                  shape_of(x));
  const int64_t F = x.size(x.dim() - 1);
  STD_TORCH_CHECK(F <= kMostCounted, "textnn: x must have at most ", kMostCounted, " features, got ", F);
  return F;
}

inline void check_pool_gradient(const Tensor& dy, const Tensor& at, const Tensor& x, int64_t B, int64_t F) {
  check_shape("the gradient", dy, {B, 2 * F});
  check_shape("at, which the forward pass makes with save=True,", at, {B, F});
  check_dtype("the gradient", dy, x);
  check_dtype("at", at, ScalarType::Int);
}

}  // namespace textnn::ops
