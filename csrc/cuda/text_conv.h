// 1-D convolutions over sentences, activation, maximum over time; see cpu/text_conv.h for what a window is.
//
// Forwards, from ids or from vectors:
//
//   weights of all kernels [C, D, K]  --lay_out_text_conv-->  [taps of all kernels, C, D]
//   rows (the distinct tokens' vectors, or all vectors) x these  --product-->  products [rows, taps, C]
//   text_conv_maxima: gathers and adds the products under the taps of each window, keeps the first maximum
//
// Backwards, each (sentence, channel) has one window that won, with the gradient g behind the activation:
//
//   text_conv_dweight  dweight[c, :, k] = sum over sentences  g * vector under tap k
//   text_conv_dx       dx[position]     = sum over the channels that won there  g * weight
//
// Both visit the windows that won and nothing else: 2 * B * taps * C * D operations each, where products with a dense
// [rows, taps * C] gradient would do it U / B times over. Neither needs the distinct tokens. What positions of one
// token have is added up as it is made, with atomics, or afterwards by embedding_backward, in a fixed order.
#pragma once
#include <algorithm>
#include "../math/activation.h"
#include "sizes.h"

namespace textnn::cuda {

// One of the S kernels. On the host as four integers, so that upload() brings the table to the device.
struct TextConvKernel {
  int64_t K;           // taps
  int64_t before;      // taps of the kernels before
  const void* weight;  // [C, D, K]
  const void* bias;    // [C], or null
};
static_assert(sizeof(TextConvKernel) == 4 * sizeof(int64_t), "uploaded as integers");

struct TextConvSizes {
  int64_t S, C, D;
  int64_t taps;                  // of all kernels
  const TextConvKernel* kernel;  // [S], on the device
  bool same;
  math::Activation activation;
  bool every = false;  // an output for each window instead of the maximum
  int64_t padding = 0, stride = 1;

  TEXTNN_HOST_DEVICE int64_t left(int64_t K) const { return same ? (K - 1) / 2 : padding; }
  TEXTNN_HOST_DEVICE int64_t windows(int64_t K, int64_t length) const {
    if (every) {
      const int64_t room = same ? length - 1 : length - K + 2 * padding;
      return room < 0 ? 0 : room / stride + 1;
    }
    const int64_t n = same ? length : length - K + 1;
    return n < 1 ? 1 : n;
  }
};

// to [taps, C, D]: the operand of the products and of the gradient of the vectors.
template <class E>
void lay_out_text_conv(Stream stream, const TextConvSizes& sizes, E* to);

template <class E>
struct TextConvMaxima {
  Sentences sentences;
  TextConvSizes sizes;
  const int32_t* token;        // [N] row of the products that stands at each position, or null: each has its own
  const Compute<E>* products;  // [rows, taps, C]
  E* y;                        // [B, S * C]
  int32_t* window;             // [B, S * C] where the maximum stands, or null
};
template <class E>
void text_conv_maxima(Stream stream, const TextConvMaxima<E>& args);

template <class E>
struct TextConvPositions {
  Sentences sentences;
  TextConvSizes sizes;
  const int32_t* token;        // as above
  const Compute<E>* products;  // [rows, taps, C]
  const int64_t* row;          // [B] row of y of each sentence's first window
  int64_t longest;             // rows of y that each sentence has in a padded batch, zeros behind its windows; or 0
  E* y;                        // [.., S * C]
};
template <class E>
void text_conv_positions(Stream stream, const TextConvPositions<E>& args);

template <class E>
struct TextConvWon {
  Sentences sentences;  // in rising order of their starts
  TextConvSizes sizes;
  const E* y;             // [B, S * C]
  const int32_t* window;  // [B, S * C]
  const E* dy;            // [B, S * C]
};

template <class E>
struct TextConvDWeight {
  TextConvWon<E> won;
  const int64_t* ids;  // [N] row of x at each position, in range; or null: position n has row n
  const E* x;          // rows of D values
  E* dweight;          // for each kernel in turn [C, D, K]
  E* dbias;            // [S, C]
};
template <class E>
void text_conv_dweight(Stream stream, const TextConvDWeight<E>& args);

template <class E>
struct TextConvDX {
  TextConvWon<E> won;
  int64_t N;           // positions, those of no sentence included
  const E* weight;     // [taps, C, D]
  const int64_t* row;  // [N] row of dx that each position is added to, with atomics, in any order (float32, float64);
                       // or null: position n has row n, which is written
  int64_t padding;     // a row to which nothing is added, or -1
  E* dx;               // rows of D values
};
template <class E>
void text_conv_dx(Stream stream, const TextConvDX<E>& args);

}  // namespace textnn::cuda
