// textnn::crf_log_likelihood and its backward operator, crf_marginals, crf_decode.
#include "crf.h"
#include "../cpu/crf.h"
#include <numeric>

namespace textnn::ops {
namespace {

// Contiguous arguments of a call.
struct CrfCall {
  CrfShape shape;
  Tensor x, start, end, transitions;
  OptionalTensor tags;
  SentenceBounds bounds;

  CrfCall(const Tensor& x_, const OptionalTensor& tags_, const Tensor& start_, const Tensor& end_,
          const Tensor& transitions_, const OptionalTensor& sizes, const std::string& layout)
      : shape(check_crf(x_, tags_, start_, end_, transitions_, layout)),
        x(compact(x_)),
        start(compact(start_)),
        end(compact(end_)),
        transitions(compact(transitions_)),
        tags(compact(tags_)),
        bounds(shape.by_sequence(x), shape.flat(), sizes) {
    if (shape.layout == RaggedLayout::kTimeMajor) std::iota(bounds.start.begin(), bounds.start.end(), 0);
    if (tags) check_tags();
  }

  int64_t B() const { return int64_t(bounds.start.size()); }

  template <class T>
  cpu::Crf<T> crf() const {
    return {bounds.sentences(),      shape.step,
            shape.longest,           shape.K,
            x.const_data_ptr<T>(),   start.const_data_ptr<T>(),
            end.const_data_ptr<T>(), transitions.const_data_ptr<T>(),
            pointer<int64_t>(tags)};
  }

 private:
  void check_tags() const {
    const int64_t* tag = pointer<int64_t>(tags);
    for (int64_t b = 0; b < B(); ++b)
      for (int64_t t = 0; t < bounds.length[size_t(b)]; ++t) {
        const int64_t y = tag[bounds.start[size_t(b)] + t * shape.step];
        STD_TORCH_CHECK(y >= 0 && y < shape.K, "textnn: tags must lie in [0, ", shape.K, "), got ", y, " at step ", t,
                        " of sequence ", b);
      }
  }
};

std::tuple<Tensor, Tensor> crf_log_likelihood(const Tensor& x, const OptionalTensor& tags, const Tensor& start,
                                              const Tensor& end, const Tensor& transitions, const OptionalTensor& sizes,
                                              std::string layout, bool save) {
  const CrfCall call(x, tags, start, end, transitions, sizes, layout);
  Tensor y = empty(x, {call.B()});
  Tensor alphas = save ? pooled(call.x, leading(call.x, call.shape.K)) : empty(x, {0});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::crf_forward<T>(torch_threads(), {call.crf<T>(), writable<T>(y), writable<T>(alphas)});
  });
  return {y, alphas};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> crf_log_likelihood_backward(const Tensor& dy_, const Tensor& x,
                                                                       const OptionalTensor& tags, const Tensor& start,
                                                                       const Tensor& end, const Tensor& transitions,
                                                                       const OptionalTensor& sizes, std::string layout,
                                                                       const Tensor& alphas_) {
  const CrfCall call(x, tags, start, end, transitions, sizes, layout);
  check_crf_gradient(dy_, alphas_, x, call.B());
  const Tensor dy = compact(dy_), alphas = compact(alphas_);
  const int64_t K = call.shape.K;
  Tensor dx = pooled(call.x, leading(call.x, K)), dstart = empty(x, {K}), dend = empty(x, {K}),
         dtransitions = empty(x, {K, K});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::crf_backward<T>(torch_threads(),
                         {call.crf<T>(), dy.const_data_ptr<T>(), alphas.const_data_ptr<T>(), writable<T>(dx),
                          writable<T>(dstart), writable<T>(dend), writable<T>(dtransitions)});
  });
  return {dx, dstart, dend, dtransitions};
}

Tensor crf_marginals(const Tensor& x, const Tensor& start, const Tensor& end, const Tensor& transitions,
                     const OptionalTensor& sizes, std::string layout) {
  const CrfCall call(x, std::nullopt, start, end, transitions, sizes, layout);
  Tensor y = pooled(call.x, leading(call.x, call.shape.K));
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::crf_backward<T>(torch_threads(), {call.crf<T>(), nullptr, nullptr, writable<T>(y), nullptr, nullptr, nullptr});
  });
  return y;
}

std::tuple<Tensor, Tensor> crf_decode(const Tensor& x, const Tensor& start, const Tensor& end,
                                      const Tensor& transitions, const OptionalTensor& sizes, std::string layout,
                                      int64_t n_best) {
  const CrfCall call(x, std::nullopt, start, end, transitions, sizes, layout);
  check_crf_best(n_best, call.shape.K);
  Tensor tags = torch::stable::new_empty(x, crf_paths(x, n_best), ScalarType::Long);
  Tensor scores = empty(x, {n_best, call.B()});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::crf_decode<T>(torch_threads(),
                       {call.crf<T>(), n_best, call.shape.rows, writable<int64_t>(tags), writable<T>(scores)});
  });
  return {tags, scores};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("crf_log_likelihood", TORCH_BOX(&textnn::ops::crf_log_likelihood));
  m.impl("crf_log_likelihood_backward", TORCH_BOX(&textnn::ops::crf_log_likelihood_backward));
  m.impl("crf_marginals", TORCH_BOX(&textnn::ops::crf_marginals));
  m.impl("crf_decode", TORCH_BOX(&textnn::ops::crf_decode));
}
