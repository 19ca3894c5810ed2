// The text convolution of token ids (text_conv.h) with weights that do not change any more: the products of every
// token's embedding with all taps of all kernels stand in a table, and what is left is to gather, add and compare.
//
//   row of a token   | kernel 0: tap 0, tap 1, ... | kernel 1: tap 0, ... | ...     a tap: its C channels, then zeros
//   up
//                                                                                   to `width`
//
// Elements E are float, double, or int16_t and int8_t with a scale for each kernel and channel. Integers are added as
// int16_t without a conversion, and the maximum is found among them: whoever makes the table keeps each element of a
// kernel of K taps within 32767 / K, so that no sum overflows.
#pragma once
#include "text_conv.h"

namespace textnn::cpu {

// What products are added in, and what results are.
template <class E>
struct Frozen {
  using Sum = E;
  using Result = E;
};
template <>
struct Frozen<int16_t> {
  using Sum = int16_t;
  using Result = float;
};
template <>
struct Frozen<int8_t> {
  using Sum = int16_t;
  using Result = float;
};

// Channels of a tap in the table: C rounded up to vectors of the widest instruction set.
template <class E>
constexpr int64_t frozen_width(int64_t C) {
  constexpr int64_t lanes = 64 / int64_t(sizeof(typename Frozen<E>::Sum));
  return (C + lanes - 1) / lanes * lanes;
}

template <class E>
struct FrozenTextConv {
  using T = typename Frozen<E>::Result;
  Sentences sentences;
  TextConvKernelSizes sizes;  // without D
  const int64_t* row;         // [N] the row of each position's token: below R of table, from R on of more
  int64_t R;
  const E* table;  // [R, taps of all kernels, width]
  const E* more;   // [as many as there are, taps of all kernels, width], or null
  const T* scale;  // [S, C] what an integer of the table stands for, or null
  const T* bias;   // [S, C]
  T* y;            // [B, S * C]
};

template <class E>
void frozen_text_conv(const ThreadPool& pool, const FrozenTextConv<E>& args);

// Rows of a table of E out of float products: from / scale in whole numbers, within what sums of the kernel can take.
template <class E>
struct QuantizeProducts {
  TextConvKernelSizes sizes;  // without D
  int64_t U;
  const float* from;   // [U, taps of all kernels, width]
  const float* scale;  // [S, C]
  E* to;               // [U, taps of all kernels, width]
};

template <class E>
void quantize_products(const ThreadPool& pool, const QuantizeProducts<E>& args);

}  // namespace textnn::cpu
