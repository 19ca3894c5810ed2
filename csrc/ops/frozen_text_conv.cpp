// textnn::frozen_text_conv: from token ids and a table of products to features. No gradients.
#include "../cpu/frozen_text_conv.h"
#include <algorithm>
#include <type_traits>
#include "../cpu/distinct.h"
#include "ragged.h"
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace textnn::ops {
namespace {

template <class E>
struct Dtype;
template <>
struct Dtype<float> {
  static constexpr ScalarType value = ScalarType::Float;
};
template <>
struct Dtype<double> {
  static constexpr ScalarType value = ScalarType::Double;
};
template <>
struct Dtype<int16_t> {
  static constexpr ScalarType value = ScalarType::Short;
};
template <>
struct Dtype<int8_t> {
  static constexpr ScalarType value = ScalarType::Char;
};

// f(E{}) with the type of the table's elements.
template <class F>
void dispatch_elements(const Tensor& table, F&& f) {
  const ScalarType type = table.scalar_type();
  if (type == ScalarType::Float) return f(float{});
  if (type == ScalarType::Double) return f(double{});
  if (type == ScalarType::Short) return f(int16_t{});
  STD_TORCH_CHECK(type == ScalarType::Char, "textnn: table must be float32, float64, int16 or int8");
  f(int8_t{});
}

void check_is(const char* name, const Tensor& t, ScalarType type) {
  STD_TORCH_CHECK(t.scalar_type() == type, "textnn: ", name, " does not have the dtype that belongs to the table's");
}

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
    products_ = torch::stable::matmul(x, torch::stable::view(weight, {D, weight.numel() / D}));
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
  STD_TORCH_CHECK(ids_.scalar_type() == ScalarType::Long, "textnn: ids must be int64");
  STD_TORCH_CHECK(ids_.dim() == (flat ? 1 : 2), "textnn: ids must have ", flat ? 1 : 2, " dimensions, got shape ",
                  shape_of(ids_));
  STD_TORCH_CHECK(activation >= 0 && activation <= 2, "textnn: activation must be 0, 1 or 2, got ", activation);
  const int64_t S = int64_t(kernel_sizes.size());
  STD_TORCH_CHECK(S > 0 && *std::min_element(kernel_sizes.begin(), kernel_sizes.end()) > 0,
                  "textnn: kernel_sizes must be positive and at least one");
  check_shape("bias", bias_, {S, -1});
  const cpu::TextConvKernelSizes k{S, bias_.size(1), 0, kernel_sizes.data(), same, math::Activation(int(activation))};
  const Tensor ids = compact(ids_), table = compact(table_), bias = compact(bias_);
  const OptionalTensor scale = compact(scale_), row = compact(row_);
  const SentenceBounds bounds(ids, flat, sizes);
  const int64_t B = int64_t(bounds.start.size());
  Tensor y = empty(bias, {B, S * k.C});
  dispatch_elements(table, [&](auto zero) {
    using E = decltype(zero);
    using T = typename cpu::Frozen<E>::Result;
    const std::vector<int64_t> products{-1, k.taps_before(S), cpu::frozen_width<E>(k.C)};
    check_shape("table", table, products);
    check_is("bias", bias, Dtype<T>::value);
    STD_TORCH_CHECK(scale.has_value() == std::is_integral_v<E>, "textnn: scale belongs to a table of integers");
    if (scale) {
      check_shape("scale", *scale, {S, k.C});
      check_is("scale", *scale, Dtype<T>::value);
    }
    if (row) {
      check_shape("row", *row, {-1});
      check_is("row", *row, ScalarType::Long);
    }
    STD_TORCH_CHECK(rest.has_value() == weight.has_value(), "textnn: rest and weight belong together");
    if (rest) {
      check_shape("rest", *rest, {-1, -1});
      check_shape("weight", *weight, {rest->size(1), products[1], products[2]});
      check_is("rest", *rest, Dtype<T>::value);
      check_is("weight", *weight, Dtype<T>::value);
    }
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
