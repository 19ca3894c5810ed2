// What the embedding operators ask of their arguments, on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

inline void check_embedding(const Tensor& ids, const Tensor& table, int64_t padding_idx) {
  STD_TORCH_CHECK(table.dim() == 2, "textnn: table must have shape [V, D], got ", shape_of(table));
  check_padding_idx(padding_idx, table.size(0));
  check_dtype("ids", ids, ScalarType::Long);
}

// Returns D.
inline int64_t check_embedding_gradient(const Tensor& dy, const Tensor& ids, int64_t rows, int64_t padding_idx) {
  STD_TORCH_CHECK(dy.dim() == ids.dim() + 1, "textnn: the gradient must have one dimension more than ids, got ",
                  shape_of(dy), " and ", shape_of(ids));
  for (int64_t i = 0; i < ids.dim(); ++i)
    STD_TORCH_CHECK(dy.size(i) == ids.size(i), "textnn: the gradient must have shape [..., D] of ids ", shape_of(ids),
                    ", got ", shape_of(dy));
  check_dtype("ids", ids, ScalarType::Long);
  STD_TORCH_CHECK(rows >= 0, "textnn: rows must be at least 0, got ", rows);
  check_padding_idx(padding_idx, rows);
  return dy.size(dy.dim() - 1);
}

// The shape of `t` with one more dimension behind.
inline std::vector<int64_t> with_last(const Tensor& t, int64_t last) {
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < t.dim(); ++i) shape.push_back(t.size(i));
  shape.push_back(last);
  return shape;
}

}  // namespace textnn::ops
