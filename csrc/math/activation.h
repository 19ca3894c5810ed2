// The activations of the text convolution. All of them are non-decreasing, so the maximum over time is taken before the
// activation and the activation is computed once for each (sentence, channel). Gradients are functions of the activated
// value y, the only thing that the forward pass keeps.
#pragma once
#include "host_device.h"

namespace textnn::math {

enum class Activation : int { kIdentity = 0, kRelu = 1, kTanh = 2 };

template <class Math, class V>
TEXTNN_HOST_DEVICE inline V activate(Activation kind, const V& x) {
  if (kind == Activation::kRelu) return Math::relu(x);
  if (kind == Activation::kTanh) return Math::tanh(x);
  return x;
}

template <class T>
TEXTNN_HOST_DEVICE inline T activation_backward(Activation kind, T y, T dy) {
  if (kind == Activation::kRelu) return y > 0 ? dy : T(0);
  if (kind == Activation::kTanh) return dy * (1 - y * y);
  return dy;
}

}  // namespace textnn::math
