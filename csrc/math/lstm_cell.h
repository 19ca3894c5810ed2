// The mathematics of one LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; gate
// order and equations of torch.nn.LSTM):
//
//   i = sigmoid(.)  f = sigmoid(.)  g = tanh(.)  o = sigmoid(.)        of the four pre-activations
//   c' = f * c + i * g        m = o * tanh(c')                         m is h', or what a projection turns into h'
//
// V is a scalar in the CUDA kernels and a vector of hidden units in the CPU kernels; Math supplies sigmoid and tanh for
// V.
#pragma once
#include "host_device.h"

namespace textnn::math {

template <class V>
struct LstmGates {
  V i, f, g, o;
};

template <class V>
struct LstmState {
  V m, c;
};

// The four gates from their pre-activations.
template <class Math, class V>
TEXTNN_HOST_DEVICE inline LstmGates<V> lstm_activate(const LstmGates<V>& pre) {
  return {Math::sigmoid(pre.i), Math::sigmoid(pre.f), Math::tanh(pre.g), Math::sigmoid(pre.o)};
}

// The new state from the gates and the old cell state.
template <class Math, class V>
TEXTNN_HOST_DEVICE inline LstmState<V> lstm_update(const LstmGates<V>& gate, const V& c_prev) {
  const V c = gate.f * c_prev + gate.i * gate.g;
  return {gate.o * Math::tanh(c), c};
}

// Gradients with respect to the four pre-activations; dc comes in as d(loss)/dc' from later steps and leaves as
// d(loss)/dc. dm is d(loss)/dm.
template <class Math, class V>
TEXTNN_HOST_DEVICE inline LstmGates<V> lstm_backward(const LstmGates<V>& gate, const V& c_prev, const V& c, const V& dm,
                                                     V& dc) {
  const V t = Math::tanh(c);
  const V dc_total = dc + dm * gate.o * (1 - t * t);
  dc = dc_total * gate.f;
  return {dc_total * gate.g * gate.i * (1 - gate.i), dc_total * c_prev * gate.f * (1 - gate.f),
          dc_total * gate.i * (1 - gate.g * gate.g), dm * t * gate.o * (1 - gate.o)};
}

}  // namespace textnn::math
