// textnn::max_mean_pool and its backward operator on CUDA.
#include "../../cuda/pool.h"
#include "../pool.h"
#include <algorithm>
#include "check_device.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

std::tuple<Tensor, Tensor> max_mean_pool(const Tensor& x_, const OptionalTensor& sizes, bool flat, bool save) {
  const Device device(x_);
  const int64_t F = check_pool(x_, flat);
  const Tensor x = compact(x_);
  const SentenceBounds bounds(device, x, flat, sizes);
  Tensor y = empty(x, {bounds.B, 2 * F}), at = empty(x, {save ? bounds.B : 0, F}, ScalarType::Int);
  dispatch(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::max_mean_pool<E>(device.stream,
                                   {bounds.sentences(), F, data<E>(x), writable<E>(y), writable<int32_t>(at)});
  });
  return {y, at};
}

Tensor max_mean_pool_backward(const Tensor& dy_, const Tensor& at_, const Tensor& x, const OptionalTensor& sizes,
                              bool flat) {
  const Device device(x);
  const int64_t F = check_pool(x, flat);
  const Tensor dy = compact(dy_), at = compact(at_);
  const SentenceBounds bounds(device, x, flat, sizes);
  check_pool_gradient(dy, at, x, bounds.B, F);
  check_device("the gradient", dy, x);
  check_device("at", at, x);
  Tensor dx = empty(x, leading(x, F));
  dispatch(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::max_mean_pool_backward<E>(device.stream, {bounds.sentences(), F, x.numel() / std::max<int64_t>(1, F),
                                                            data<int32_t>(at), data<E>(dy), writable<E>(dx)});
  });
  return dx;
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("max_mean_pool", TORCH_BOX(&textnn::ops::cuda::max_mean_pool));
  m.impl("max_mean_pool_backward", TORCH_BOX(&textnn::ops::cuda::max_mean_pool_backward));
}
