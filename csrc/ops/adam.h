// What the operators of Adam ask of their arguments, on every device: all but the values inside of tensors.
#pragma once
#include <cmath>
#include <limits>
#include "../math/adam.h"
#include "tensors.h"

namespace textnn::ops {

inline void check_in_place(const char* name, const Tensor& t, const Tensor& like) {
  check_shape(name, t, {like.size(0), like.size(1)});
  check_dtype(name, t, like);
  STD_TORCH_CHECK(t.is_contiguous(), "textnn: ", name, " must be contiguous");
  check_memory(t);
}

// What is written must not be what rows are found by: rows that change after they were looked at lie anywhere.
inline void check_apart(const std::vector<Tensor>& written, const char* name, const OptionalTensor& read) {
  const auto begin = [](const Tensor& t) { return uintptr_t(t.const_data_ptr()); };
  const auto end = [&](const Tensor& t) { return begin(t) + uintptr_t(t.numel() * t.element_size()); };
  for (const Tensor& t : written)
    STD_TORCH_CHECK(!read || read->numel() == 0 || t.numel() == 0 || end(t) <= begin(*read) || end(*read) <= begin(t),
                    "textnn: ", name, " must not share memory with what is changed in place");
}

// Rates of a step. NaN is no rate.
inline void check_rates(double step_size, double floor, double beta1, double beta2) {
  STD_TORCH_CHECK(std::isfinite(step_size), "textnn: step_size must be finite, got ", step_size);
  STD_TORCH_CHECK(floor >= 0, "textnn: floor must be at least 0, got ", floor);
  STD_TORCH_CHECK(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1,
                  "textnn: beta1 and beta2 must lie in [0, 1), got ", beta1, " and ", beta2);
}

inline void check_table(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq) {
  STD_TORCH_CHECK(param.dim() == 2, "textnn: param must have shape [V, D], got ", shape_of(param));
  check_in_place("param", param, param);
  check_in_place("exp_avg", exp_avg, param);
  check_in_place("exp_avg_sq", exp_avg_sq, param);
}

inline void check_gradients(const Tensor& rows, const Tensor& grad, const Tensor& param) {
  STD_TORCH_CHECK(rows.scalar_type() == ScalarType::Long && rows.dim() == 1, "textnn: rows must be int64 [U], got ",
                  torch::headeronly::toString(rows.scalar_type()), " ", shape_of(rows));
  STD_TORCH_CHECK(rows.is_contiguous(), "textnn: rows must be contiguous");
  check_memory(rows);
  check_shape("grad", grad, {rows.size(0), param.size(1)});
  check_dtype("grad", grad, param);
}

// last [V] int32; history [capacity + 1, 7] float64, with room for `step`.
inline math::AdamHistory check_history(const Tensor& last, const Tensor& history, const Tensor& param, int64_t base,
                                       int64_t step, double beta1, double beta2) {
  check_shape("last", last, {param.size(0)});
  STD_TORCH_CHECK(last.scalar_type() == ScalarType::Int && last.is_contiguous(),
                  "textnn: last must be int32 and contiguous");
  check_memory(last);
  check_shape("history", history, {-1, math::AdamHistory::kColumns});
  STD_TORCH_CHECK(history.scalar_type() == ScalarType::Double && history.is_contiguous(),
                  "textnn: history must be float64 and contiguous");
  check_memory(history);
  STD_TORCH_CHECK(
      0 <= base && base <= step && step - base < history.size(0) && step < std::numeric_limits<int32_t>::max(),
      "textnn: history with ", history.size(0), " rows from step ", base, " has no room for step ", step);
  STD_TORCH_CHECK(beta1 >= 0 && beta1 * beta1 < beta2 && beta2 < 1, "textnn: beta1^2 must be below beta2, got ", beta1,
                  " and ", beta2);
  return {history.mutable_data_ptr<double>(), base, step, beta1, beta2};
}

// The history before a new step.
inline math::AdamHistory before_step(math::AdamHistory history) {
  STD_TORCH_CHECK(history.step > history.base, "textnn: step must be above base, got ", history.step, " and ",
                  history.base);
  --history.step;
  return history;
}

inline void check_ids(const OptionalTensor& ids) {
  if (ids) check_dtype("ids", *ids, ScalarType::Long);
}

}  // namespace textnn::ops
