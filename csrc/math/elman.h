// The mathematics of Elman's recurrent cell (Elman 1990; torch.nn.RNN): h' is an activation of one sum, tanh or ReLU.
#pragma once
#include "cell.h"

namespace textnn::math {

template <class Activation>
struct Elman {
  static constexpr const char* kName = Activation::kName;
  static constexpr int kSums = 1, kKept = 1;
  static constexpr Window kInput{0, 1}, kState{0, 1};
  static constexpr int input_block(int) { return 0; }
  static constexpr int state_block(int) { return 0; }
  static constexpr bool kCell = false, kReadsState = false;
  static constexpr Carry kCarry = Carry::kNone;

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static V forward(const V (&sum)[1], const V&, V&, V (&kept)[1]) {
    return kept[0] = Activation::template value<Math>(sum[0]);
  }

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static void backward(const V (&kept)[1], const V&, const V&, const V&, const V& dh, V&,
                                          V (&dsum)[1]) {
    dsum[0] = Activation::template gradient<V>(kept[0], dh);
  }
};

struct ElmanTanh {
  static constexpr const char* kName = "rnn_tanh";
  template <class Math, class V>
  TEXTNN_HOST_DEVICE static V value(const V& sum) {
    return Math::tanh(sum);
  }
  template <class V>
  TEXTNN_HOST_DEVICE static V gradient(const V& h, const V& dh) {
    return dh * (1 - h * h);
  }
};

struct ElmanRelu {
  static constexpr const char* kName = "rnn_relu";
  template <class Math, class V>
  TEXTNN_HOST_DEVICE static V value(const V& sum) {
    return Math::relu(sum);
  }
  template <class V>
  TEXTNN_HOST_DEVICE static V gradient(const V& h, const V& dh) {
    return h <= 0 ? V{} : dh;
  }
};

using RnnTanh = Elman<ElmanTanh>;
using RnnRelu = Elman<ElmanRelu>;

}  // namespace textnn::math
