// What the operators of attention ask of their arguments, on every device.
#pragma once
#include "tensors.h"

namespace textnn::ops {

inline void check_attention(const Tensor& query, const Tensor& states, bool flat) {
  STD_TORCH_CHECK(query.dim() == 3, "textnn: query must have shape [B, Q, H], got ", shape_of(query));
  const int64_t H = query.size(2);
  check_shape("states", states, flat ? std::vector<int64_t>{-1, H} : std::vector<int64_t>{-1, -1, H});
  check_dtype("states", states, query);
}

inline void check_queries(const Tensor& query, int64_t B) {
  STD_TORCH_CHECK(query.size(0) == B, "textnn: query must be of ", B, " sentences, got shape ", shape_of(query));
}

inline std::vector<int64_t> attention_weights(const Tensor& query, const Tensor& states, bool flat) {
  if (flat) return {query.size(1), states.size(0)};
  return {query.size(0), query.size(1), states.size(1)};
}

inline void check_attention_gradients(const OptionalTensor& dcontext, const OptionalTensor& dweights,
                                      const Tensor& query, const Tensor& states, const Tensor& weights, bool flat) {
  const auto of_weights = attention_weights(query, states, flat);
  check_shape("weights, which the forward pass makes with save=True,", weights, of_weights);
  check_dtype("weights", weights, query);
  STD_TORCH_CHECK(dcontext || dweights, "textnn: dcontext or dweights must be given");
  if (dcontext) check_shape("dcontext", *dcontext, leading(query, query.size(2)));
  if (dcontext) check_dtype("dcontext", *dcontext, query);
  if (dweights) check_shape("dweights", *dweights, of_weights);
  if (dweights) check_dtype("dweights", *dweights, query);
}

}  // namespace textnn::ops
