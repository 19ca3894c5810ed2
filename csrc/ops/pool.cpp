// textnn::max_mean_pool and its backward operator.
#include "pool.h"
#include "../cpu/pool.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

std::tuple<Tensor, Tensor> max_mean_pool(const Tensor& x_, const OptionalTensor& sizes, bool flat, bool save) {
  const int64_t F = check_pool(x_, flat);
  const Tensor x = compact(x_);
  const SentenceBounds bounds(x, flat, sizes);
  const int64_t B = int64_t(bounds.start.size());
  Tensor y = empty(x, {B, 2 * F}), at = torch::stable::new_empty(x, {save ? B : 0, F}, ScalarType::Int);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::max_mean_pool<T>(torch_threads(),
                          {bounds.sentences(), F, x.const_data_ptr<T>(), writable<T>(y), writable<int32_t>(at)});
  });
  return {y, at};
}

Tensor max_mean_pool_backward(const Tensor& dy_, const Tensor& at_, const Tensor& x, const OptionalTensor& sizes,
                              bool flat) {
  const int64_t F = check_pool(x, flat);
  const Tensor dy = compact(dy_), at = compact(at_);
  const SentenceBounds bounds(x, flat, sizes);
  const int64_t B = int64_t(bounds.start.size());
  check_pool_gradient(dy, at, x, B, F);
  for (int64_t b = 0; F > 0 && b < B; ++b)
    check_kept_positions("at", at.const_data_ptr<int32_t>() + b * F, F, std::max<int64_t>(1, bounds.length[size_t(b)]),
                         b);
  Tensor dx = pooled(x, leading(x, F));
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::max_mean_pool_backward<T>(
        torch_threads(), {bounds.sentences(), F, bounds.positions, at.const_data_ptr<int32_t>(), dy.const_data_ptr<T>(),
                          writable<T>(dx)});
  });
  return dx;
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("max_mean_pool", TORCH_BOX(&textnn::ops::max_mean_pool));
  m.impl("max_mean_pool_backward", TORCH_BOX(&textnn::ops::max_mean_pool_backward));
}
