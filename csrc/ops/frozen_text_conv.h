// What the frozen text convolution asks of its arguments, on every device: all but the values inside of tensors.
#pragma once
#include <algorithm>
#include <type_traits>
#include "../cpu/frozen_text_conv.h"
#include "tensors.h"

namespace textnn::ops {

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

struct FrozenArguments {
  Tensor ids, table;
  OptionalTensor scale;
  Tensor bias;
  OptionalTensor row, rest, weight;
};

// Of ids, kernel sizes, activation and bias, whose second size is C.
inline cpu::TextConvKernelSizes check_frozen_sizes(const Tensor& ids, const Tensor& bias,
                                                   const std::vector<int64_t>& kernel_sizes, bool flat, bool same,
                                                   int64_t activation) {
  check_dtype("ids", ids, ScalarType::Long);
  STD_TORCH_CHECK(ids.dim() == (flat ? 1 : 2), "textnn: ids must have ", flat ? 1 : 2, " dimensions, got shape ",
                  shape_of(ids));
  STD_TORCH_CHECK(activation >= 0 && activation <= 2, "textnn: activation must be 0, 1 or 2, got ", activation);
  const int64_t S = int64_t(kernel_sizes.size());
  STD_TORCH_CHECK(S > 0 && *std::min_element(kernel_sizes.begin(), kernel_sizes.end()) > 0,
                  "textnn: kernel_sizes must be positive and at least one");
  int64_t taps = 0;
  for (const int64_t K : kernel_sizes) {
    taps += std::min(K, kMostCounted);
    STD_TORCH_CHECK(taps < kMostCounted, "textnn: kernel_sizes must sum to less than ", kMostCounted, ", got ", K);
  }
  check_shape("bias", bias, {S, -1});
  product("the features of bias", {S, bias.size(1)}, kMostCounted);
  return {S, bias.size(1), 0, kernel_sizes.data(), same, math::Activation(int(activation))};
}

// Of all that belongs to a table of E.
template <class E>
void check_frozen_tensors(const FrozenArguments& a, const cpu::TextConvKernelSizes& k) {
  using T = typename cpu::Frozen<E>::Result;
  const int64_t taps = k.taps_before(k.S), width = cpu::frozen_width<E>(k.C);
  check_shape("table", a.table, {-1, taps, width});
  check_dtype("bias", a.bias, Dtype<T>::value);
  STD_TORCH_CHECK(a.scale.has_value() == std::is_integral_v<E>, "textnn: scale belongs to a table of integers");
  if (a.scale) {
    check_shape("scale", *a.scale, {k.S, k.C});
    check_dtype("scale", *a.scale, Dtype<T>::value);
  }
  if (a.row) {
    check_shape("row", *a.row, {-1});
    check_dtype("row", *a.row, ScalarType::Long);
  }
  STD_TORCH_CHECK(a.rest.has_value() == a.weight.has_value(), "textnn: rest and weight belong together");
  if (a.rest) {
    check_shape("rest", *a.rest, {-1, -1});
    check_shape("weight", *a.weight, {a.rest->size(1), taps, width});
    check_dtype("rest", *a.rest, Dtype<T>::value);
    check_dtype("weight", *a.weight, Dtype<T>::value);
  }
}

}  // namespace textnn::ops
