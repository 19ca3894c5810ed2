// textnn::lstm_cell and its backward operator on CUDA.
#include "../lstm_cell.h"
#include "../../cuda/lstm_cell.h"
#include "check_device.h"
#include "tensors.h"

namespace textnn::ops::cuda {
namespace {

std::tuple<Tensor, Tensor> lstm_cell(const Tensor& gates_, const Tensor& c_) {
  const Device device(gates_);
  check_lstm_cell(gates_, c_);
  check_device("c", c_, gates_);
  const Tensor gates = compact(gates_), c = compact(c_);
  Tensor h = torch::stable::empty_like(c), c_next = torch::stable::empty_like(c);
  dispatch(gates, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::lstm_cell<E>(device.stream,
                               {c.size(0), c.size(1), data<E>(gates), data<E>(c), writable<E>(h), writable<E>(c_next)});
  });
  return {h, c_next};
}

std::tuple<Tensor, Tensor> lstm_cell_backward(const Tensor& dh_, const Tensor& dc_next_, const Tensor& gates_,
                                              const Tensor& c_) {
  const Device device(gates_);
  check_lstm_cell(gates_, c_);
  check_device("c", c_, gates_);
  for (const Tensor* t : {&dh_, &dc_next_}) {
    check_lstm_cell_gradient(*t, gates_, c_);
    check_device("the gradient", *t, gates_);
  }
  const Tensor dh = compact(dh_), dc_next = compact(dc_next_), gates = compact(gates_), c = compact(c_);
  Tensor dgates = torch::stable::empty_like(gates), dc = torch::stable::empty_like(c);
  dispatch(gates, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::lstm_cell_backward<E>(
        device.stream, {c.size(0), c.size(1), data<E>(dh), data<E>(dc_next), data<E>(gates), data<E>(c),
                        writable<E>(dgates), writable<E>(dc)});
  });
  return {dgates, dc};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("lstm_cell", TORCH_BOX(&textnn::ops::cuda::lstm_cell));
  m.impl("lstm_cell_backward", TORCH_BOX(&textnn::ops::cuda::lstm_cell_backward));
}
