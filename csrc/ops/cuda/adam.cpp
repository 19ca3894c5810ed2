// textnn::adam_rows, adam_exact_rows and adam_catch_up on CUDA: they change their first arguments in place. Every
// tensor is on the device, `last` and `history` too; rows and steps that are out of range stop the kernels there.
#include "../../cuda/adam.h"
#include "../adam.h"
#include "check_device.h"
#include "tensors.h"

namespace textnn::ops::cuda {
namespace {

template <class T>
textnn::cuda::AdamTable<T> table(Tensor param, Tensor exp_avg, Tensor exp_avg_sq) {
  return {param.size(0), param.size(1), writable<T>(param), writable<T>(exp_avg), writable<T>(exp_avg_sq)};
}

int32_t* steps_of(Tensor last) { return writable<int32_t>(last); }

// f(T{}): moments of a table are float32 or float64.
template <class F>
void dispatch_table(const Tensor& param, F&& f) {
  const ScalarType type = param.scalar_type();
  if (type == ScalarType::Float) return f(float{});
  STD_TORCH_CHECK(type == ScalarType::Double, "textnn: param must be float32 or float64");
  f(double{});
}

// For the missed steps of n rows.
Tensor scratch(const Tensor& like, int64_t n) {
  return empty(like, {n * int64_t(sizeof(math::Missed) / sizeof(int64_t))}, ScalarType::Long);
}
math::Missed* missed(Tensor& scratch) { return reinterpret_cast<math::Missed*>(writable<int64_t>(scratch)); }

void check_devices(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq) {
  check_device("exp_avg", exp_avg, param);
  check_device("exp_avg_sq", exp_avg_sq, param);
}

void adam_rows(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& rows,
               const Tensor& grad_, double step_size, double floor, double beta1, double beta2) {
  const Device device(param);
  check_table(param, exp_avg, exp_avg_sq);
  check_rates(step_size, floor, beta1, beta2);
  check_apart({param, exp_avg, exp_avg_sq}, "rows", rows);
  check_gradients(rows, grad_, param);
  check_devices(param, exp_avg, exp_avg_sq);
  check_device("rows", rows, param);
  check_device("grad", grad_, param);
  const Tensor grad = compact(grad_);
  dispatch_table(param, [&](auto zero) {
    using T = decltype(zero);
    textnn::cuda::adam_rows<T>(device.stream, table<T>(param, exp_avg, exp_avg_sq),
                               {rows.numel(), data<int64_t>(rows), data<T>(grad)}, {step_size, floor, beta1, beta2});
  });
}

void adam_exact_rows(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& last,
                     const Tensor& history_, const Tensor& rows, const Tensor& grad_, int64_t base, int64_t step,
                     double step_size, double floor, double beta1, double beta2) {
  const Device device(param);
  check_table(param, exp_avg, exp_avg_sq);
  check_rates(step_size, floor, beta1, beta2);
  check_apart({param, exp_avg, exp_avg_sq}, "rows", rows);
  check_gradients(rows, grad_, param);
  check_devices(param, exp_avg, exp_avg_sq);
  check_device("last", last, param);
  check_device("history", history_, param);
  check_device("rows", rows, param);
  check_device("grad", grad_, param);
  check_apart({last, history_}, "rows", rows);
  check_apart({param, exp_avg, exp_avg_sq, history_}, "last", last);
  const math::AdamHistory history = before_step(check_history(last, history_, param, base, step, beta1, beta2));
  const Tensor grad = compact(grad_);
  Tensor memory = scratch(param, rows.numel());
  dispatch_table(param, [&](auto zero) {
    using T = decltype(zero);
    textnn::cuda::adam_exact_rows<T>(device.stream, table<T>(param, exp_avg, exp_avg_sq), history, steps_of(last),
                                     {rows.numel(), data<int64_t>(rows), data<T>(grad)},
                                     {step_size, floor, beta1, beta2}, missed(memory));
  });
  textnn::cuda::adam_append(device.stream, history, step_size, floor);
}

void adam_catch_up(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& last,
                   const Tensor& history_, const OptionalTensor& ids_, int64_t base, int64_t step, double beta1,
                   double beta2) {
  const Device device(param);
  check_table(param, exp_avg, exp_avg_sq);
  check_devices(param, exp_avg, exp_avg_sq);
  check_device("last", last, param);
  check_device("history", history_, param);
  check_device("ids", ids_, param);
  const math::AdamHistory history = check_history(last, history_, param, base, step, beta1, beta2);
  const OptionalTensor ids = compact(ids_);
  check_ids(ids);
  check_apart({param, exp_avg, exp_avg_sq, last}, "ids", ids);
  check_apart({param, exp_avg, exp_avg_sq}, "last", last);
  const int64_t N = ids ? ids->numel() : param.size(0);
  Tensor memory = scratch(param, N);
  dispatch_table(param, [&](auto zero) {
    using T = decltype(zero);
    textnn::cuda::adam_catch_up<T>(device.stream, table<T>(param, exp_avg, exp_avg_sq), history, steps_of(last), N,
                                   data<int64_t>(ids), missed(memory));
  });
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("adam_rows", TORCH_BOX(&textnn::ops::cuda::adam_rows));
  m.impl("adam_exact_rows", TORCH_BOX(&textnn::ops::cuda::adam_exact_rows));
  m.impl("adam_catch_up", TORCH_BOX(&textnn::ops::cuda::adam_catch_up));
}
