// textnn::recurrent_cell and its backward operator.
#include "recurrent_cell.h"
#include "../cpu/recurrent_cell.h"

namespace textnn::ops {
namespace {

std::tuple<Tensor, Tensor> recurrent_cell(std::string name, const Tensor& input_gates,
                                          const OptionalTensor& hidden_gates, const OptionalTensor& h,
                                          const OptionalTensor& c) {
  const RecurrentCell r(name, input_gates, hidden_gates, h, c);
  Tensor h_next = r.state_if(true), c_next = r.state_if(r.cell.cell);
  dispatch(r.input_gates, [&](auto zero) {
    using T = decltype(zero);
    with_cell(name, [&](auto cell) {
      cpu::recurrent_cell<decltype(cell), T>(
          torch_threads(), {r.B, r.H, r.input_gates.const_data_ptr<T>(), pointer<T>(r.hidden_gates), pointer<T>(r.h),
                            pointer<T>(r.c), writable<T>(h_next), writable<T>(c_next)});
    });
  });
  return {h_next, c_next};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> recurrent_cell_backward(std::string name, const OptionalTensor& dh_next,
                                                                   const OptionalTensor& dc_next,
                                                                   const Tensor& input_gates,
                                                                   const OptionalTensor& hidden_gates,
                                                                   const OptionalTensor& h, const OptionalTensor& c) {
  const RecurrentCell r(name, input_gates, hidden_gates, h, c);
  const CellGradients given(r, dh_next, dc_next);
  Tensor dinput_gates = r.gates_if(true), dhidden_gates = r.gates_if(r.apart);
  Tensor dh = r.state_if(r.reads_state), dc = r.state_if(r.cell.cell);
  dispatch(r.input_gates, [&](auto zero) {
    using T = decltype(zero);
    with_cell(name, [&](auto cell) {
      cpu::recurrent_cell_backward<decltype(cell), T>(
          torch_threads(), {r.B, r.H, pointer<T>(given.dh), pointer<T>(given.dc), r.input_gates.const_data_ptr<T>(),
                            pointer<T>(r.hidden_gates), pointer<T>(r.h), pointer<T>(r.c), writable<T>(dinput_gates),
                            writable<T>(dhidden_gates), writable<T>(dh), writable<T>(dc)});
    });
  });
  return {dinput_gates, dhidden_gates, dh, dc};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("recurrent_cell", TORCH_BOX(&textnn::ops::recurrent_cell));
  m.impl("recurrent_cell_backward", TORCH_BOX(&textnn::ops::recurrent_cell_backward));
}
