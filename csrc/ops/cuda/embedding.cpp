// textnn::embedding and its backward operator on CUDA.
#include "embedding.h"
#include "../embedding.h"
#include "check_device.h"

namespace textnn::ops::cuda {
TableGradient table_gradient(const Device& device, const Tensor& dy, const Tensor& ids_, int64_t rows, int64_t padding,
                             bool sparse) {
  const Tensor ids = torch::stable::view(ids_, {ids_.numel()});
  const int64_t N = ids.numel(), D = dy.size(dy.dim() - 1);
  if (N == 0) return {torch::stable::new_zeros(dy, {sparse ? 0 : rows, D}), empty(ids, {0})};
  // Stable, so that the positions of an id keep their order.
  const Sorted sorted = sort(ids, false);
  OptionalTensor place;
  Tensor distinct = empty(ids, {0});
  if (sparse) {
    const std::vector<Tensor> unique =
        detail::call_for(3, "aten::unique_consecutive", "", sorted.value, true, false, std::optional<int64_t>());
    distinct = unique[0];
    place = unique[1];
  }
  Tensor dtable = sparse ? empty(dy, {distinct.numel(), D}) : torch::stable::new_zeros(dy, {rows, D});
  Tensor partial = empty(dy, {textnn::cuda::embedding_backward_scratch(N, D)}, compute_type(dy));
  dispatch(dy, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::embedding_backward<E>(
        device.stream, {N, D, rows, data<int64_t>(sorted.value), data<int64_t>(sorted.place), data<int64_t>(place),
                        padding, data<E>(dy), writable<textnn::cuda::Compute<E>>(partial), writable<E>(dtable)});
  });
  return {dtable, distinct};
}

namespace {

Tensor embedding(const Tensor& ids_, const Tensor& table_, int64_t padding_idx, bool /*sparse*/) {
  const Device device(table_);
  check_embedding(ids_, table_, padding_idx);
  check_device("ids", ids_, table_);
  const Tensor ids = compact(ids_), table = compact(table_);
  const int64_t D = table.size(1);
  Tensor y = empty(table, with_last(ids, D));
  dispatch(table, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::embedding(device.stream, {ids.numel(), table.size(0), D * int64_t(sizeof(E)), data<int64_t>(ids),
                                            data<E>(table), writable<E>(y)});
  });
  return y;
}

std::tuple<Tensor, Tensor> embedding_backward(const Tensor& dy_, const Tensor& ids_, int64_t rows, int64_t padding_idx,
                                              bool sparse) {
  const Device device(dy_);
  check_device("ids", ids_, dy_);
  const Tensor dy = compact(dy_), ids = compact(ids_);
  check_embedding_gradient(dy, ids, rows, padding_idx);
  const TableGradient gradient = table_gradient(device, dy, ids, rows, padding_idx, sparse);
  return {gradient.dtable, gradient.distinct};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("embedding", TORCH_BOX(&textnn::ops::cuda::embedding));
  m.impl("embedding_backward", TORCH_BOX(&textnn::ops::cuda::embedding_backward));
}
