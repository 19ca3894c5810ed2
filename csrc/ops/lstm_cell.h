// Checks of textnn::lstm_cell that hold on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

inline void check_lstm_cell(const Tensor& gates, const Tensor& c) {
  STD_TORCH_CHECK(c.dim() == 2, "textnn: c must have shape [B, H], got ", shape_of(c));
  check_shape("gates", gates, {c.size(0), product("the gates of c", {4, c.size(1)})});
  check_dtype("c", c, gates);
}
inline void check_lstm_cell_gradient(const Tensor& gradient, const Tensor& gates, const Tensor& c) {
  check_shape("the gradient", gradient, {c.size(0), c.size(1)});
  check_dtype("the gradient", gradient, gates);
}

}  // namespace textnn::ops
