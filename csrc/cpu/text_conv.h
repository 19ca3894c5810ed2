// 1-D convolutions over sentences with several kernel sizes, an activation and the maximum over time (Collobert et al.
// 2011; Kim 2014). The convolution's output is never stored: for each (sentence, channel) the maximum and the window
// where it stands are all that is kept, and the backward pass visits that one window.
//
// A window of K taps covers the tokens window - left .. window - left + K - 1 of its sentence; tokens outside the
// sentence count as zero vectors. padding "valid": left = 0 and max(1, len - K + 1) windows, so that a sentence shorter
// than the kernel has one window, as if padded with zero vectors. padding "same": left = (K - 1) / 2 and max(1, len)
// windows.
//
// S kernel sizes with C channels each; channel c of kernel i is column i * C + c of the output.
//
// Without the maximum (`every`) each window is a row of the output: `stride` tokens lie between two windows, `padding`
// zero vectors on either side of a sentence (or, with `same`, K - 1 on both sides together), and there are
// (len - K + both paddings) / stride + 1 windows, rounded down, or none. All kernels have equally many.
#pragma once
#include <algorithm>
#include "../math/activation.h"
#include "parallel.h"
#include "sentences.h"

namespace textnn::cpu {

struct TextConvKernelSizes {
  int64_t S, C, D;
  const int64_t* taps;  // [S] number of taps K of each kernel
  bool same;
  math::Activation activation;
  bool every = false;
  int64_t padding = 0, stride = 1;
  bool bfloat16 = false;  // whether products multiply bfloat16, of T = float (precision.h); all else is T

  // Taps of all kernels before kernel i.
  int64_t taps_before(int64_t i) const {
    int64_t sum = 0;
    for (int64_t j = 0; j < i; ++j) sum += taps[j];
    return sum;
  }
  int64_t left(int64_t i) const { return same ? (taps[i] - 1) / 2 : padding; }
  int64_t windows(int64_t i, int64_t length) const {
    if (every) {
      const int64_t room = same ? length - 1 : length - taps[i] + 2 * padding;
      return room < 0 ? 0 : room / stride + 1;
    }
    return std::max<int64_t>(1, same ? length : length - taps[i] + 1);
  }
};

// From token ids, computed once for each distinct token of the batch.
template <class T>
struct EmbeddingTextConvForward {
  Sentences sentences;
  TextConvKernelSizes sizes;
  int64_t U;                     // distinct tokens
  const int64_t* distinct;       // [U] their rows of the table
  const int32_t* token;          // [N] which distinct token stands at each position
  const T* table;                // [V, D]
  const T* const* weight;        // S pointers to [C, D, K]
  const T* const* bias;          // S pointers to [C], or null
  T* y;                          // [B, S * C], or with sizes.every [.., S * C]
  int32_t* window;               // [B, S * C] where the maximum stands, or null
  const int64_t* row = nullptr;  // [B] with sizes.every: the row of y of a sentence's first window
};

// From vectors.
template <class T>
struct TextConvForward {
  Sentences sentences;
  TextConvKernelSizes sizes;
  const T* x;                    // token n at x + n * D
  const T* const* weight;        // S pointers to [C, D, K]
  const T* const* bias;          // S pointers to [C], or null
  T* y;                          // [B, S * C], or with sizes.every [.., S * C]
  int32_t* window;               // [B, S * C], or null
  const int64_t* row = nullptr;  // [B] as above
};

// Both. A token's vector is a row of x; its gradient is summed over all positions where it stands.
template <class T>
struct TextConvBackward {
  Sentences sentences;  // in rising order of their starts
  TextConvKernelSizes sizes;
  int64_t N;                // positions, those of no sentence included
  const T* x;               // rows of D values
  bool embedded;            // whether positions share the rows of x; else position n has row n, and U is N
  int64_t U;                // distinct tokens
  const int64_t* distinct;  // [U] their rows of x, rising, where embedded
  const int32_t* token;     // [N] which distinct token stands at each position, where embedded
  const T* const* weight;   // S pointers to [C, D, K]
  const T* y;               // [B, S * C]
  const int32_t* window;    // [B, S * C]
  const T* dy;              // [B, S * C]
  bool compact;             // whether dx has a row for each distinct token instead of one for each row of x
  int64_t padding;          // a row of x without gradient, or -1
  int64_t dx_rows;          // U or rows of x
  T* dx;                    // [dx_rows, D], or null
  T* dweight;               // for each kernel in turn [C, D, K], or null
  T* dbias;                 // [S, C], or null
};

template <class T>
void embedding_text_conv_forward(const ThreadPool& pool, const EmbeddingTextConvForward<T>& args);
template <class T>
void text_conv_forward(const ThreadPool& pool, const TextConvForward<T>& args);
template <class T>
void text_conv_backward(const ThreadPool& pool, const TextConvBackward<T>& args);

}  // namespace textnn::cpu
