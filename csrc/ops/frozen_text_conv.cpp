// textnn::frozen_text_conv: from token ids and a table of products to features. No gradients.
#include "frozen_text_conv.h"
#include "../cpu/distinct.h"
#include "dispatcher.h"
#include "ragged.h"
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace textnn::ops {
namespace {

// The row of each position's token, and the products of the rows that the table does not hold.
template <class E>
class Rows {
  using T = typename cpu::Frozen<E>::Result;

 public:
  Rows(const Tensor& ids, const OptionalTensor& row, const OptionalTensor& rest, int64_t R)
      : row_(ids.numel() ? ids.const_data_ptr<int64_t>() : nullptr) {
    const int64_t N = ids.numel(), behind = rest ? rest->size(0) : 0, V = row ? row->size(0) : R + behind;
    for (int64_t n = 0; n < N; ++n)
      STD_TORCH_CHECK(uint64_t(row_[n]) < uint64_t(V), "textnn: ids must lie in [0, ", V, "), got ", row_[n],
                      " at position ", n);
    if (!row && !behind) return;
    const int64_t* map = row && V ? row->const_data_ptr<int64_t>() : nullptr;
    at_.resize(size_t(N));
    std::vector<int64_t> place, missing;
    for (int64_t n = 0; n < N; ++n) {
      at_[n] = map ? map[row_[n]] : row_[n];
      STD_TORCH_CHECK(uint64_t(at_[n]) < uint64_t(R + behind), "textnn: row must hold values in [0, ", R + behind,
                      "), got ", at_[n], " for the id ", row_[n]);
      if (at_[n] < R) continue;
      place.push_back(n);
      missing.push_back(at_[n] - R);
    }
    row_ = at_.data();
    const int64_t M = int64_t(missing.size());
    std::vector<int32_t> token(missing.size());
    distinct_.resize(size_t(std::min(M, behind)));
    distinct_.resize(size_t(cpu::find_distinct(missing.data(), M, behind, distinct_.data(), token.data())));
    for (int64_t m = 0; m < M; ++m) at_[place[m]] = R + token[m];
  }

  void compute(const cpu::TextConvKernelSizes& sizes, const Tensor& rest_, const Tensor& weight_, const T* scale) {
    const int64_t U = int64_t(distinct_.size()), D = rest_.size(1);
    if (U == 0) return;
    const Tensor rest = compact(rest_), weight = compact(weight_);
    Tensor x = empty(rest, {U, D});
    for (int64_t u = 0; u < U; ++u) std::copy_n(rest.const_data_ptr<T>() + distinct_[u] * D, D, writable<T>(x) + u * D);
    products_ = mm(x, torch::stable::view(weight, {D, weight.size(1) * weight.size(2)}));
    if constexpr (std::is_integral_v<E>) {
      Tensor whole = torch::stable::new_empty(*products_, {U, products_->size(1)}, Dtype<E>::value);
      cpu::quantize_products<E>(torch_threads(),
                                {sizes, U, products_->const_data_ptr<float>(), scale, writable<E>(whole)});
      products_ = whole;
    }
  }

  const int64_t* row() const { return row_; }
  const E* more() const { return products_ ? products_->const_data_ptr<E>() : nullptr; }

 private:
  const int64_t* row_;
  std::vector<int64_t> at_, distinct_;
  OptionalTensor products_;
};

Tensor frozen_text_conv(const Tensor& ids_, const Tensor& table_, const OptionalTensor& scale_, const Tensor& bias_,
                        std::vector<int64_t> kernel_sizes, const OptionalTensor& row_, const OptionalTensor& rest,
                        const OptionalTensor& weight, const OptionalTensor& sizes, bool flat, bool same,
                        int64_t activation) {
  const cpu::TextConvKernelSizes k = check_frozen_sizes(ids_, bias_, kernel_sizes, flat, same, activation);
  const Tensor ids = compact(ids_), table = compact(table_), bias = compact(bias_);
  const OptionalTensor scale = compact(scale_), row = compact(row_);
  const SentenceBounds bounds(ids, flat, sizes);
  const int64_t B = int64_t(bounds.start.size());
  Tensor y = empty(bias, {B, k.S * k.C});
  dispatch_elements(table, [&](auto zero) {
    using E = decltype(zero);
    using T = typename cpu::Frozen<E>::Result;
    check_frozen_tensors<E>({ids, table, scale, bias, row, rest, weight}, k);
    const int64_t R = table.size(0);
    Rows<E> rows(ids, row, rest, R);
    if (rest) rows.compute(k, *rest, *weight, pointer<T>(scale));
    cpu::frozen_text_conv<E>(torch_threads(), {{B, bounds.start.data(), bounds.length.data()},
                                               k,
                                               rows.row(),
                                               R,
                                               R ? table.const_data_ptr<E>() : nullptr,
                                               rows.more(),
                                               pointer<T>(scale),
                                               bias.const_data_ptr<T>(),
                                               writable<T>(y)});
  });
  return y;
}

// Asks the system for large pages under a large tensor that nobody has written to yet: a table's rows lie anywhere, and
// small pages cost more misses in the translation of addresses than in the caches.
void advise_huge_pages(const Tensor& t) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  STD_TORCH_CHECK(t.is_contiguous(), "textnn: t must be contiguous");
  check_memory(t);
  constexpr uintptr_t kHuge = uintptr_t(2) << 20;
  const uintptr_t data = reinterpret_cast<uintptr_t>(t.const_data_ptr());
  const uintptr_t begin = (data + kHuge - 1) / kHuge * kHuge;
  const uintptr_t end = (data + uintptr_t(t.numel() * t.element_size())) / kHuge * kHuge;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)t;
#endif
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("frozen_text_conv", TORCH_BOX(&textnn::ops::frozen_text_conv));
  m.impl("advise_huge_pages", TORCH_BOX(&textnn::ops::advise_huge_pages));
}
