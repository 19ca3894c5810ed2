// The mathematics of one GRU cell (Cho et al. 2014), in the form of torch.nn.GRU, which applies the reset gate after
// the recurrent product:
//
//   r = sigmoid(.)  z = sigmoid(.)        n = tanh(n_x + r * n_h)        h' = n + z * (h - n)
//
// n_x is the input's product and n_h that of the state, each with its own bias; so a unit has four sums, n_x, r, z,
// n_h, and each product adds to three that stand side by side.
#pragma once
#include "cell.h"

namespace textnn::math {

struct Gru {
  static constexpr const char* kName = "gru";
  static constexpr int kSums = 4, kKept = 4;
  static constexpr Window kInput{0, 3}, kState{1, 3};
  static constexpr int input_block(int i) { return (i + 2) % 3; }  // torch's order is r, z, n
  static constexpr int state_block(int i) { return i; }
  static constexpr bool kCell = false, kReadsState = true;
  static constexpr Carry kCarry = Carry::kState;

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static V forward(const V (&sum)[4], const V& h_prev, V&, V (&kept)[4]) {
    const V r = Math::sigmoid(sum[1]), z = Math::sigmoid(sum[2]), n = Math::tanh(sum[0] + r * sum[3]);
    kept[0] = n, kept[1] = r, kept[2] = z, kept[3] = sum[3];
    return n + z * (h_prev - n);
  }

  template <class Math, class V>
  TEXTNN_HOST_DEVICE static void backward(const V (&kept)[4], const V& h_prev, const V&, const V&, const V& dh,
                                          V& carry, V (&dsum)[4]) {
    const V &n = kept[0], &r = kept[1], &z = kept[2], &n_h = kept[3];
    carry = dh * z;
    dsum[0] = (dh - carry) * (1 - n * n);
    dsum[1] = dsum[0] * n_h * r * (1 - r);
    dsum[2] = dh * (h_prev - n) * z * (1 - z);
    dsum[3] = dsum[0] * r;
  }
};

}  // namespace textnn::math
