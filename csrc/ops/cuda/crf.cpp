// textnn::crf_log_likelihood and its backward operator, crf_marginals and crf_decode on CUDA.
#include "../crf.h"
#include "../../cuda/crf.h"
#include "check_device.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

// f(E{}) with float or double, which check_crf has asked for.
template <class F>
void dispatch_wide(const Tensor& t, F&& f) {
  if (t.scalar_type() == ScalarType::Double) return f(double{});
  f(float{});
}

// Contiguous arguments of a call.
struct CrfCall {
  CrfShape shape;
  Tensor x, start, end, transitions;
  OptionalTensor tags;
  SentenceBounds bounds;

  CrfCall(const Device& device, const Tensor& x_, const OptionalTensor& tags_, const Tensor& start_, const Tensor& end_,
          const Tensor& transitions_, const OptionalTensor& sizes, const std::string& layout)
      : shape(check_crf(x_, tags_, start_, end_, transitions_, layout)),
        x(compact(x_)),
        start(compact(start_)),
        end(compact(end_)),
        transitions(compact(transitions_)),
        tags(compact(tags_)),
        bounds(device, shape.by_sequence(x), shape.flat(), sizes) {
    check_device("start", start, x);
    check_device("end", end, x);
    check_device("transitions", transitions, x);
    check_device("tags", tags, x);
    STD_TORCH_CHECK(shape.K <= textnn::cuda::kMostTags, "textnn: on CUDA a CRF has at most ", textnn::cuda::kMostTags,
                    " tags, got ", shape.K);
  }

  template <class E>
  textnn::cuda::Crf<E> crf() const {
    return {bounds.sentences(),
            shape.step,
            shape.longest,
            shape.layout == RaggedLayout::kTimeMajor,
            shape.K,
            data<E>(x),
            data<E>(start),
            data<E>(end),
            data<E>(transitions),
            data<int64_t>(tags)};
  }
};

std::tuple<Tensor, Tensor> crf_log_likelihood(const Tensor& x, const OptionalTensor& tags, const Tensor& start,
                                              const Tensor& end, const Tensor& transitions, const OptionalTensor& sizes,
                                              std::string layout, bool save) {
  const Device device(x);
  const CrfCall call(device, x, tags, start, end, transitions, sizes, layout);
  Tensor y = empty(x, {call.bounds.B}), alphas = empty(x, save ? leading(x, call.shape.K) : std::vector<int64_t>{0});
  dispatch_wide(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::crf_forward<E>(device.stream, {call.crf<E>(), writable<E>(y), writable<E>(alphas)});
  });
  return {y, alphas};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> crf_log_likelihood_backward(const Tensor& dy_, const Tensor& x,
                                                                       const OptionalTensor& tags, const Tensor& start,
                                                                       const Tensor& end, const Tensor& transitions,
                                                                       const OptionalTensor& sizes, std::string layout,
                                                                       const Tensor& alphas_) {
  const Device device(x);
  const CrfCall call(device, x, tags, start, end, transitions, sizes, layout);
  const int64_t K = call.shape.K, B = call.bounds.B;
  check_crf_gradient(dy_, alphas_, x, B);
  check_device("the gradient", dy_, x);
  check_device("alphas", alphas_, x);
  const Tensor dy = compact(dy_), alphas = compact(alphas_);
  Tensor dx = empty(x, leading(x, K)), dstart = empty(x, {K}), dend = empty(x, {K}), dtransitions = empty(x, {K, K});
  // So many blocks, whatever the device: sums are always made in the same order.
  const int64_t runs = std::min<int64_t>(B, std::max<int64_t>(8, std::min<int64_t>(256, (1 << 22) / (K * K))));
  Tensor sums = empty(x, {std::max<int64_t>(1, runs) * (K * K + 2 * K)});
  dispatch_wide(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::crf_backward<E>(device.stream,
                                  {call.crf<E>(), data<E>(dy), data<E>(alphas), writable<E>(dx), writable<E>(dstart),
                                   writable<E>(dend), writable<E>(dtransitions), runs, writable<E>(sums)});
  });
  return {dx, dstart, dend, dtransitions};
}

Tensor crf_marginals(const Tensor& x, const Tensor& start, const Tensor& end, const Tensor& transitions,
                     const OptionalTensor& sizes, std::string layout) {
  const Device device(x);
  const CrfCall call(device, x, std::nullopt, start, end, transitions, sizes, layout);
  Tensor y = empty(x, leading(x, call.shape.K)), alphas = empty(x, leading(x, call.shape.K));
  dispatch_wide(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::crf_forward<E>(device.stream, {call.crf<E>(), nullptr, writable<E>(alphas)});
    textnn::cuda::crf_backward<E>(device.stream, {call.crf<E>(), nullptr, data<E>(alphas), writable<E>(y), nullptr,
                                                  nullptr, nullptr, std::min<int64_t>(call.bounds.B, 4096), nullptr});
  });
  return y;
}

std::tuple<Tensor, Tensor> crf_decode(const Tensor& x, const Tensor& start, const Tensor& end,
                                      const Tensor& transitions, const OptionalTensor& sizes, std::string layout,
                                      int64_t n_best) {
  const Device device(x);
  const CrfCall call(device, x, std::nullopt, start, end, transitions, sizes, layout);
  const int64_t K = call.shape.K, B = call.bounds.B;
  check_crf_best(n_best, K);
  Tensor tags = empty(x, crf_paths(x, n_best), ScalarType::Long), scores = empty(x, {n_best, B});
  Tensor ahead = empty(x, {B * 2 * K * n_best}), from = empty(x, {call.shape.rows * K * n_best}, ScalarType::Int),
         heads = empty(x, {n_best > 1 ? B * K * K : 0}, ScalarType::Int);
  dispatch_wide(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::crf_decode<E>(device.stream,
                                {call.crf<E>(), n_best, call.shape.rows, writable<int64_t>(tags), writable<E>(scores),
                                 writable<E>(ahead), writable<int32_t>(from), writable<int32_t>(heads)});
  });
  return {tags, scores};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("crf_log_likelihood", TORCH_BOX(&textnn::ops::cuda::crf_log_likelihood));
  m.impl("crf_log_likelihood_backward", TORCH_BOX(&textnn::ops::cuda::crf_log_likelihood_backward));
  m.impl("crf_marginals", TORCH_BOX(&textnn::ops::cuda::crf_marginals));
  m.impl("crf_decode", TORCH_BOX(&textnn::ops::cuda::crf_decode));
}
