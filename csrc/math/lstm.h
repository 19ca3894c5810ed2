// The mathematics of one LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; gate
// order and equations of torch.nn.LSTM):
//
//   i = sigmoid(.)  f = sigmoid(.)  g = tanh(.)  o = sigmoid(.)        of the four pre-activations
//   c' = f * c + i * g        m = o * tanh(c')                         m is h', or what a projection turns into h'
//
// V is a scalar in the CUDA kernels and a vector of hidden units in the CPU kernels; Math supplies sigmoid and tanh for
// V.
#pragma once
#include "cell.h"

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

struct Lstm {
  static constexpr const char* kName = "lstm";
  static constexpr int kSums = 4, kKept = 4;
  static constexpr Window kInput{0, 4}, kState{0, 4};
  static constexpr int input_block(int i) { return i; }
  static constexpr int state_block(int i) { return i; }
  static constexpr bool kCell = true, kReadsState = false;
  static constexpr Carry kCarry = Carry::kCell;

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static V forward(const V (&sum)[4], const V&, V& c, V (&kept)[4]) {
    const auto gate = lstm_activate<Math>(LstmGates<V>{sum[0], sum[1], sum[2], sum[3]});
    const auto state = lstm_update<Math>(gate, c);
    c = state.c;
    kept[0] = gate.i, kept[1] = gate.f, kept[2] = gate.g, kept[3] = gate.o;
    return state.m;
  }

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static void backward(const V (&kept)[4], const V&, const V& c_prev, const V& c, const V& dh,
                                          V& carry, V (&dsum)[4]) {
    const auto d = lstm_backward<Math>(LstmGates<V>{kept[0], kept[1], kept[2], kept[3]}, c_prev, c, dh, carry);
    dsum[0] = d.i, dsum[1] = d.f, dsum[2] = d.g, dsum[3] = d.o;
  }
};

}  // namespace textnn::math
