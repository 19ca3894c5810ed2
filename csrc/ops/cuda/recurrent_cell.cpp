// textnn::recurrent_cell and its backward operator on CUDA.
#include "../recurrent_cell.h"
#include "../../cuda/recurrent_cell.h"
#include "check_device.h"
#include "tensors.h"

namespace textnn::ops::cuda {
namespace {

void check_devices(const RecurrentCell& r) {
  check_device("hidden_gates", r.hidden_gates, r.input_gates);
  check_device("h", r.h, r.input_gates);
  check_device("c", r.c, r.input_gates);
}

std::tuple<Tensor, Tensor> recurrent_cell(std::string name, const Tensor& input_gates,
                                          const OptionalTensor& hidden_gates, const OptionalTensor& h,
                                          const OptionalTensor& c) {
  const Device device(input_gates);
  const RecurrentCell r(name, input_gates, hidden_gates, h, c);
  check_devices(r);
  Tensor h_next = r.state_if(true), c_next = r.state_if(r.cell.cell);
  dispatch(r.input_gates, [&](auto zero) {
    using E = decltype(zero);
    with_cell(name, [&](auto cell) {
      textnn::cuda::recurrent_cell<decltype(cell), E>(
          device.stream, {r.B, r.H, data<E>(r.input_gates), data<E>(r.hidden_gates), data<E>(r.h), data<E>(r.c),
                          writable<E>(h_next), writable<E>(c_next)});
    });
  });
  return {h_next, c_next};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> recurrent_cell_backward(std::string name, const OptionalTensor& dh_next,
                                                                   const OptionalTensor& dc_next,
                                                                   const Tensor& input_gates,
                                                                   const OptionalTensor& hidden_gates,
                                                                   const OptionalTensor& h, const OptionalTensor& c) {
  const Device device(input_gates);
  const RecurrentCell r(name, input_gates, hidden_gates, h, c);
  const CellGradients given(r, dh_next, dc_next);
  check_devices(r);
  check_device("dh_next", given.dh, r.input_gates);
  check_device("dc_next", given.dc, r.input_gates);
  Tensor dinput_gates = r.gates_if(true), dhidden_gates = r.gates_if(r.apart);
  Tensor dh = r.state_if(r.reads_state), dc = r.state_if(r.cell.cell);
  dispatch(r.input_gates, [&](auto zero) {
    using E = decltype(zero);
    with_cell(name, [&](auto cell) {
      textnn::cuda::recurrent_cell_backward<decltype(cell), E>(
          device.stream, {r.B, r.H, data<E>(given.dh), data<E>(given.dc), data<E>(r.input_gates),
                          data<E>(r.hidden_gates), data<E>(r.h), data<E>(r.c), writable<E>(dinput_gates),
                          writable<E>(dhidden_gates), writable<E>(dh), writable<E>(dc)});
    });
  });
  return {dinput_gates, dhidden_gates, dh, dc};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("recurrent_cell", TORCH_BOX(&textnn::ops::cuda::recurrent_cell));
  m.impl("recurrent_cell_backward", TORCH_BOX(&textnn::ops::cuda::recurrent_cell_backward));
}
