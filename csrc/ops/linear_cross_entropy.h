// What the operators of a linear layer with cross entropy ask of their arguments, and which rows count.
#pragma once
#include <cmath>
#include "tensors.h"

namespace textnn::ops {

struct LinearCrossEntropy {
  Tensor x, linear_weight;
  OptionalTensor linear_bias;
  Tensor target;
  OptionalTensor weight;
  bool bfloat16;
  double smoothing;
  int64_t N, H, V;
  bool mean = false, none = false;

  std::vector<int64_t> row, target_of;  // of the rows whose target is not ignored
  double weight_sum;                    // of all classes
  double total = 0;                     // of the rows' weights, by which the mean divides

  LinearCrossEntropy(const Tensor& x_, const Tensor& linear_weight_, const OptionalTensor& linear_bias_,
                     const Tensor& target_, const OptionalTensor& weight_, const std::string& reduction,
                     int64_t ignore_index, double label_smoothing, const std::string& precision)
      : bfloat16(precision == "bf16"), smoothing(label_smoothing) {
    STD_TORCH_CHECK(x_.scalar_type() == ScalarType::Float || x_.scalar_type() == ScalarType::Double,
                    "textnn: the input must be float32 or float64, got ",
                    torch::headeronly::toString(x_.scalar_type()));
    check_shape("the input", x_, {-1, -1});
    N = x_.size(0);
    H = x_.size(1);
    check_shape("linear_weight", linear_weight_, {-1, H});
    V = linear_weight_.size(0);
    check_dtype("linear_weight", linear_weight_, x_);
    if (linear_bias_) {
      check_shape("linear_bias", *linear_bias_, {V});
      check_dtype("linear_bias", *linear_bias_, x_);
    }
    check_shape("target", target_, {N});
    check_dtype("target", target_, ScalarType::Long);
    if (weight_) {
      check_shape("weight", *weight_, {V});
      check_dtype("weight", *weight_, x_);
    }
    mean = reduction == "mean";
    none = reduction == "none";
    STD_TORCH_CHECK(mean || none || reduction == "sum", "textnn: reduction must be none, mean or sum, got ", reduction);
    STD_TORCH_CHECK(smoothing >= 0 && smoothing <= 1, "textnn: label_smoothing must lie in [0, 1], got ", smoothing);
    STD_TORCH_CHECK(bfloat16 || precision == "ieee", "textnn: precision must be ieee or bf16, got ", precision);
    bfloat16 = bfloat16 && x_.scalar_type() == ScalarType::Float;
    x = compact(x_);
    linear_weight = compact(linear_weight_);
    linear_bias = compact(linear_bias_);
    target = compact(target_);
    weight = compact(weight_);
    const int64_t* t = target.const_data_ptr<int64_t>();
    for (int64_t n = 0; n < N; ++n) {
      if (t[n] == ignore_index) continue;
      STD_TORCH_CHECK(t[n] >= 0 && t[n] < V, "textnn: target must lie in [0, ", V, ") or be ignore_index, ",
                      ignore_index, ", got ", t[n], " in row ", n);
      row.push_back(n);
      target_of.push_back(t[n]);
    }
    weight_sum = double(V);
    total = double(row.size());
    if (!weight) return;
    weight_sum = total = 0;
    for (int64_t v = 0; v < V; ++v) weight_sum += class_weight(v);
    for (const int64_t v : target_of) total += class_weight(v);
  }

  int64_t used() const { return int64_t(row.size()); }

  double class_weight(int64_t v) const {
    if (!weight) return 1;
    return x.scalar_type() == ScalarType::Float ? double(weight->const_data_ptr<float>()[v])
                                                : weight->const_data_ptr<double>()[v];
  }
};

}  // namespace textnn::ops
