// textnn::adam_rows, adam_exact_rows and adam_catch_up: they change their first arguments in place.
#include "adam.h"
#include "../cpu/adam.h"

namespace textnn::ops {
namespace {

template <class T>
cpu::AdamTable<T> table(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq) {
  const bool any = param.numel() > 0;
  return {param.size(0), param.size(1), any ? param.mutable_data_ptr<T>() : nullptr,
          any ? exp_avg.mutable_data_ptr<T>() : nullptr, any ? exp_avg_sq.mutable_data_ptr<T>() : nullptr};
}

// Rising rows are distinct, so that threads do not meet.
void check_rows(const Tensor& rows, const Tensor& grad, const Tensor& param) {
  check_gradients(rows, grad, param);
  const int64_t U = rows.numel();
  const int64_t* row = U ? rows.const_data_ptr<int64_t>() : nullptr;
  for (int64_t u = 0; u < U; ++u)
    STD_TORCH_CHECK(row[u] >= 0 && row[u] < param.size(0) && (u == 0 || row[u - 1] < row[u]),
                    "textnn: rows must rise and lie in [0, ", param.size(0), "), got ", row[u], " at position ", u);
}

// The rows' own steps must lie in the history.
void check_last(const int32_t* last, const int64_t* rows, int64_t n, int64_t V, const cpu::AdamHistory& history) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = rows ? rows[i] : i;
    if (row < 0 || row >= V) continue;
    STD_TORCH_CHECK(last[row] == -1 || (last[row] >= history.base && last[row] <= history.step),
                    "textnn: last must be -1 or a step from ", history.base, " to ", history.step, ", got ", last[row],
                    " for row ", row);
  }
}

int32_t* steps_of(const Tensor& last) { return last.numel() ? last.mutable_data_ptr<int32_t>() : nullptr; }
const int64_t* ids_of(const Tensor& ids) { return ids.numel() ? ids.const_data_ptr<int64_t>() : nullptr; }

void adam_rows(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& rows,
               const Tensor& grad_, double step_size, double floor, double beta1, double beta2) {
  check_table(param, exp_avg, exp_avg_sq);
  check_rates(step_size, floor, beta1, beta2);
  check_apart({param, exp_avg, exp_avg_sq}, "rows", rows);
  check_rows(rows, grad_, param);
  const Tensor grad = compact(grad_);
  dispatch(param, [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_rows<T>(torch_threads(), table<T>(param, exp_avg, exp_avg_sq),
                      {rows.numel(), ids_of(rows), grad.const_data_ptr<T>()}, {step_size, floor, beta1, beta2});
  });
}

void adam_exact_rows(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& last,
                     const Tensor& history_, const Tensor& rows, const Tensor& grad_, int64_t base, int64_t step,
                     double step_size, double floor, double beta1, double beta2) {
  check_table(param, exp_avg, exp_avg_sq);
  check_rates(step_size, floor, beta1, beta2);
  check_apart({param, exp_avg, exp_avg_sq, last, history_}, "rows", rows);
  check_apart({param, exp_avg, exp_avg_sq, history_}, "last", last);
  check_rows(rows, grad_, param);
  cpu::AdamHistory history = before_step(check_history(last, history_, param, base, step, beta1, beta2));
  check_last(steps_of(last), ids_of(rows), rows.numel(), param.size(0), history);
  const Tensor grad = compact(grad_);
  dispatch(param, [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_exact_rows<T>(torch_threads(), table<T>(param, exp_avg, exp_avg_sq), history, steps_of(last),
                            {rows.numel(), ids_of(rows), grad.const_data_ptr<T>()}, {step_size, floor, beta1, beta2});
  });
  history.append(step_size, floor);
}

void adam_catch_up(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& last,
                   const Tensor& history_, const OptionalTensor& ids_, int64_t base, int64_t step, double beta1,
                   double beta2) {
  check_table(param, exp_avg, exp_avg_sq);
  const cpu::AdamHistory history = check_history(last, history_, param, base, step, beta1, beta2);
  const OptionalTensor ids = compact(ids_);
  check_ids(ids);
  check_apart({param, exp_avg, exp_avg_sq, last}, "ids", ids);
  check_apart({param, exp_avg, exp_avg_sq}, "last", last);
  const int64_t N = ids ? ids->numel() : 0;
  if (ids && N == 0) return;
  const int64_t* id = ids ? ids_of(*ids) : nullptr;
  check_last(steps_of(last), id, ids ? N : param.size(0), param.size(0), history);
  dispatch(param, [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_catch_up<T>(torch_threads(), table<T>(param, exp_avg, exp_avg_sq), history, steps_of(last), N, id);
  });
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("adam_rows", TORCH_BOX(&textnn::ops::adam_rows));
  m.impl("adam_exact_rows", TORCH_BOX(&textnn::ops::adam_exact_rows));
  m.impl("adam_catch_up", TORCH_BOX(&textnn::ops::adam_catch_up));
}
