// What the embedding operators ask of their arguments, on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

inline void check_embedding(const Tensor& ids, const Tensor& table) {
  STD_TORCH_CHECK(table.dim() == 2, "textnn: table must have shape [V, D], got ", shape_of(table));
  STD_TORCH_CHECK(ids.scalar_type() == ScalarType::Long, "textnn: ids must be int64");
}

// Returns D.
inline int64_t check_embedding_gradient(const Tensor& dy, const Tensor& ids) {
  STD_TORCH_CHECK(dy.dim() == ids.dim() + 1, "textnn: the gradient must have one dimension more than ids, got ",
                  shape_of(dy), " and ", shape_of(ids));
  const int64_t D = dy.size(dy.dim() - 1);
  STD_TORCH_CHECK(dy.numel() == ids.numel() * D, "textnn: the gradient must have shape [..., D] of ids ", shape_of(ids),
                  ", got ", shape_of(dy));
  STD_TORCH_CHECK(ids.scalar_type() == ScalarType::Long, "textnn: ids must be int64");
  return D;
}

// The shape of `t` with one more dimension behind.
inline std::vector<int64_t> with_last(const Tensor& t, int64_t last) {
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < t.dim(); ++i) shape.push_back(t.size(i));
  shape.push_back(last);
  return shape;
}

}  // namespace textnn::ops
