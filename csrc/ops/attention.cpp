// textnn::ragged_attention and its backward operator.
#include "attention.h"
#include "../cpu/attention.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

// Contiguous arguments of a call.
struct AttentionCall {
  bool flat;
  Tensor query, states;
  SentenceBounds bounds;
  double scale;
  int64_t B, Q, H;
  std::vector<int64_t> first;

  AttentionCall(const Tensor& query_, const Tensor& states_, const OptionalTensor& sizes, bool flat_, double scale_)
      : flat(check(query_, states_, flat_)),
        query(compact(query_)),
        states(compact(states_)),
        bounds(states, flat, sizes),
        scale(scale_),
        B(int64_t(bounds.start.size())),
        Q(query.size(1)),
        H(query.size(2)) {
    check_queries(query, B);
    product("the weights", {B > 0 ? bounds.positions : 0, Q}, kMostCounted);
    for (int64_t b = 0; b < B; ++b) first.push_back(flat ? bounds.start[size_t(b)] : bounds.start[size_t(b)] * Q);
  }

  int64_t longest() const { return flat ? 0 : states.size(1); }
  std::vector<int64_t> weights_shape() const { return attention_weights(query, states, flat); }
  template <class T>
  cpu::Attention<T> attention() const {
    return {bounds.sentences(),
            Q,
            H,
            longest(),
            T(scale),
            query.numel() ? query.const_data_ptr<T>() : nullptr,
            states.numel() ? states.const_data_ptr<T>() : nullptr,
            first.data(),
            flat ? states.size(0) : states.size(1)};
  }

 private:
  static bool check(const Tensor& query, const Tensor& states, bool flat) {
    check_attention(query, states, flat);
    return flat;
  }
};

std::tuple<Tensor, Tensor> ragged_attention(const Tensor& query, const Tensor& states, const OptionalTensor& sizes,
                                            bool flat, double scale, bool save) {
  const AttentionCall call(query, states, sizes, flat, scale);
  Tensor context = pooled(call.query, {call.B, call.Q, call.H});
  Tensor weights = save ? pooled(call.query, call.weights_shape()) : empty(call.query, {0});
  dispatch(query, [&](auto zero) {
    using T = decltype(zero);
    cpu::attention_forward<T>(torch_threads(), {call.attention<T>(), writable<T>(context), writable<T>(weights)});
  });
  return {context, weights};
}

std::tuple<Tensor, Tensor> ragged_attention_backward(const OptionalTensor& dcontext_, const OptionalTensor& dweights_,
                                                     const Tensor& query, const Tensor& states, const Tensor& weights_,
                                                     const OptionalTensor& sizes, bool flat, double scale) {
  const AttentionCall call(query, states, sizes, flat, scale);
  const Tensor weights = compact(weights_);
  const OptionalTensor dcontext = compact(dcontext_), dweights = compact(dweights_);
  check_attention_gradients(dcontext, dweights, call.query, call.states, weights, flat);
  Tensor dquery = pooled(call.query, {call.B, call.Q, call.H}), dstates = pooled(call.states, leading(states, call.H));
  dispatch(query, [&](auto zero) {
    using T = decltype(zero);
    cpu::attention_backward<T>(torch_threads(), {call.attention<T>(), weights.const_data_ptr<T>(), pointer<T>(dcontext),
                                                 pointer<T>(dweights), writable<T>(dquery), writable<T>(dstates)});
  });
  return {dquery, dstates};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("ragged_attention", TORCH_BOX(&textnn::ops::ragged_attention));
  m.impl("ragged_attention_backward", TORCH_BOX(&textnn::ops::ragged_attention_backward));
}
