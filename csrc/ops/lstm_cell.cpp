// textnn::lstm_cell and its backward operator.
#include "../cpu/lstm_cell.h"
#include "lstm_cell.h"

namespace textnn::ops {
namespace {

std::tuple<Tensor, Tensor> lstm_cell(const Tensor& gates_, const Tensor& c_) {
  check_lstm_cell(gates_, c_);
  const Tensor gates = compact(gates_), c = compact(c_);
  Tensor h = torch::stable::empty_like(c), c_next = torch::stable::empty_like(c);
  dispatch(gates, [&](auto zero) {
    using T = decltype(zero);
    cpu::lstm_cell<T>(torch_threads(), {c.size(0), c.size(1), gates.const_data_ptr<T>(), c.const_data_ptr<T>(),
                                        writable<T>(h), writable<T>(c_next)});
  });
  return {h, c_next};
}

std::tuple<Tensor, Tensor> lstm_cell_backward(const Tensor& dh_, const Tensor& dc_next_, const Tensor& gates_,
                                              const Tensor& c_) {
  check_lstm_cell(gates_, c_);
  for (const Tensor* t : {&dh_, &dc_next_}) check_lstm_cell_gradient(*t, gates_, c_);
  const Tensor dh = compact(dh_), dc_next = compact(dc_next_), gates = compact(gates_), c = compact(c_);
  Tensor dgates = torch::stable::empty_like(gates), dc = torch::stable::empty_like(c);
  dispatch(gates, [&](auto zero) {
    using T = decltype(zero);
    cpu::lstm_cell_backward<T>(
        torch_threads(), {c.size(0), c.size(1), dh.const_data_ptr<T>(), dc_next.const_data_ptr<T>(),
                          gates.const_data_ptr<T>(), c.const_data_ptr<T>(), writable<T>(dgates), writable<T>(dc)});
  });
  return {dgates, dc};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm_cell", TORCH_BOX(&textnn::ops::lstm_cell));
  m.impl("lstm_cell_backward", TORCH_BOX(&textnn::ops::lstm_cell_backward));
}
