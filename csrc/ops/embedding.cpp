// textnn::embedding and its backward operator.
#include "embedding.h"
#include "../cpu/embedding.h"
#include "distinct.h"

namespace textnn::ops {
namespace {

Tensor embedding(const Tensor& ids_, const Tensor& table_, int64_t padding_idx, bool /*sparse*/) {
  check_embedding(ids_, table_, padding_idx);
  const Tensor ids = compact(ids_), table = compact(table_);
  const int64_t N = ids.numel(), V = table.size(0), D = table.size(1);
  const int64_t* id = N ? ids.const_data_ptr<int64_t>() : nullptr;
  for (int64_t n = 0; n < N; ++n)
    STD_TORCH_CHECK(id[n] >= 0 && id[n] < V, "textnn: ids must lie in [0, ", V, "), got ", id[n], " at position ", n);
  Tensor y = empty(table, with_last(ids, D));
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    cpu::embedding<T>(torch_threads(), {N, D, id, table.const_data_ptr<T>(), writable<T>(y)});
  });
  return y;
}

std::tuple<Tensor, Tensor> embedding_backward(const Tensor& dy_, const Tensor& ids_, int64_t rows, int64_t padding_idx,
                                              bool sparse) {
  const Tensor dy = compact(dy_), ids = compact(ids_);
  const int64_t D = check_embedding_gradient(dy, ids, rows, padding_idx);
  const Distinct distinct(ids, rows);
  Tensor dtable = pooled(dy, {sparse ? distinct.U : rows, D});
  Tensor out = torch::stable::new_empty(ids, {sparse ? distinct.U : 0});
  if (sparse) std::copy_n(distinct.id.data(), distinct.U, writable<int64_t>(out));
  if (dtable.numel() == 0) return {dtable, out};
  dispatch(dy, [&](auto zero) {
    using T = decltype(zero);
    cpu::embedding_backward<T>(
        torch_threads(), {distinct.N, D, distinct.U, distinct.id.data(), distinct.token.data(), dy.const_data_ptr<T>(),
                          dtable.size(0), !sparse, padding_idx, writable<T>(dtable)});
  });
  return {dtable, out};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("embedding", TORCH_BOX(&textnn::ops::embedding));
  m.impl("embedding_backward", TORCH_BOX(&textnn::ops::embedding_backward));
}
