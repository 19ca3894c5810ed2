// What csrc/math/ asks of a type of numbers, for the scalars of a CUDA thread.
#pragma once
#include <cmath>
#include "../math/host_device.h"
#include "launch.h"

namespace textnn::cuda {

template <class T>
struct ScalarMath {
  static TEXTNN_HOST_DEVICE T exp(T x) {
    if constexpr (sizeof(T) == 4)
      return expf(x);
    else
      return ::exp(x);
  }
  static TEXTNN_HOST_DEVICE T tanh(T x) {
    if constexpr (sizeof(T) == 4)
      return tanhf(x);
    else
      return ::tanh(x);
  }
  static TEXTNN_HOST_DEVICE T sigmoid(T x) { return 1 / (1 + exp(-x)); }
  static TEXTNN_HOST_DEVICE T relu(T x) { return x <= 0 ? T(0) : x; }  // NaN stays NaN, as in torch.relu
};

}  // namespace textnn::cuda
