// textnn::ragged_attention and its backward operator on CUDA.
#include "../../cuda/attention.h"
#include "../attention.h"
#include "check_device.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

// Contiguous arguments of a call.
struct AttentionCall {
  bool flat;
  Tensor query, states;
  SentenceBounds bounds;
  double scale;

  AttentionCall(const Device& device, const Tensor& query_, const Tensor& states_, const OptionalTensor& sizes,
                bool flat_, double scale_)
      : flat(check(query_, states_, flat_)),
        query(compact(query_)),
        states(compact(states_)),
        bounds(device, states, flat, sizes),
        scale(scale_) {
    check_queries(query, bounds.B);
  }

  std::vector<int64_t> weights() const { return attention_weights(query, states, flat); }
  template <class E>
  textnn::cuda::Attention<E> attention() const {
    return {bounds.sentences(),
            flat,
            query.size(1),
            query.size(2),
            flat ? states.size(0) : states.size(1),
            textnn::cuda::Compute<E>(scale),
            data<E>(query),
            data<E>(states)};
  }

 private:
  static bool check(const Tensor& query, const Tensor& states, bool flat) {
    check_attention(query, states, flat);
    check_device("states", states, query);
    return flat;
  }
};

std::tuple<Tensor, Tensor> ragged_attention(const Tensor& query, const Tensor& states, const OptionalTensor& sizes,
                                            bool flat, double scale, bool save) {
  const Device device(query);
  const AttentionCall call(device, query, states, sizes, flat, scale);
  Tensor context = empty(call.query, leading(call.query, query.size(2)));
  Tensor weights = empty(call.query, save ? call.weights() : std::vector<int64_t>{0});
  const ScalarType computed = compute_type(query);
  Tensor unrounded = save && computed == query.scalar_type() ? weights : empty(call.query, call.weights(), computed);
  dispatch(query, [&](auto zero) {
    using E = decltype(zero);
    using A = textnn::cuda::Compute<E>;
    textnn::cuda::attention_forward<E>(
        device.stream, {call.attention<E>(), writable<E>(context), writable<E>(weights), writable<A>(unrounded)});
  });
  return {context, weights};
}

std::tuple<Tensor, Tensor> ragged_attention_backward(const OptionalTensor& dcontext_, const OptionalTensor& dweights_,
                                                     const Tensor& query, const Tensor& states, const Tensor& weights_,
                                                     const OptionalTensor& sizes, bool flat, double scale) {
  const Device device(query);
  const AttentionCall call(device, query, states, sizes, flat, scale);
  const Tensor weights = compact(weights_);
  const OptionalTensor dcontext = compact(dcontext_), dweights = compact(dweights_);
  check_attention_gradients(dcontext, dweights, call.query, call.states, weights, flat);
  check_device("weights", weights, query);
  check_device("dcontext", dcontext, query);
  check_device("dweights", dweights, query);
  Tensor dquery = empty(call.query, leading(call.query, query.size(2)));
  Tensor dstates = empty(call.states, leading(call.states, query.size(2)));
  Tensor dscores = empty(call.query, call.weights(), compute_type(query));
  dispatch(query, [&](auto zero) {
    using E = decltype(zero);
    using A = textnn::cuda::Compute<E>;
    textnn::cuda::attention_backward<E>(device.stream,
                                        {call.attention<E>(), data<E>(weights), data<E>(dcontext), data<E>(dweights),
                                         writable<A>(dscores), writable<E>(dquery), writable<E>(dstates)});
  });
  return {dquery, dstates};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("ragged_attention", TORCH_BOX(&textnn::ops::cuda::ragged_attention));
  m.impl("ragged_attention_backward", TORCH_BOX(&textnn::ops::cuda::ragged_attention_backward));
}
