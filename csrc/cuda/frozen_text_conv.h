// The text convolution of token ids as a look-up in a table of products (cpu/frozen_text_conv.h: what the table is, and
// why integers do not overflow).
//
//   ids [N] --row--> the row of each position's token --gather K taps, add, maximum over windows--> y
//                    | below R: of the table
//                    ` from R on: of rest, whose products with the taps are computed where a window needs them
//
// Each position stands once under each tap, so that a token of rest costs its products, and nothing is kept of them: no
// scratch memory that would have to be as large as if every token were one, and no count of them that the CPU would
// have to wait for.
#pragma once
#include "../math/activation.h"
#include "sizes.h"

namespace textnn::cuda {

// What an element of the table stands for, with its scale, and what results are.
template <class E>
struct Frozen {
  using Result = float;
};
template <>
struct Frozen<double> {
  using Result = double;
};

struct FrozenRows {
  int64_t N, V, rows;  // rows of the table and of rest
  const int64_t* ids;  // [N]
  const int64_t* row;  // [V] the row of each id, or null: the id itself
  int64_t* at;         // [N] the row of each position's token, or null: ids are only checked
};
void frozen_rows(Stream stream, const FrozenRows& args);

template <class E>
struct FrozenTextConv {
  using T = typename Frozen<E>::Result;
  Sentences sentences;
  int64_t S, C, D;
  const int64_t* taps;  // [S] on the CPU
  bool same;
  math::Activation activation;
  int64_t width;      // of a tap in the table: C rounded up to a multiple of 16 bytes, or more
  int64_t R;          // rows of the table
  const int64_t* at;  // [N]
  const E* table;     // [R, taps of all kernels, width], at a multiple of 16 bytes
  bool has_rest;      // whether some rows lie behind the table
  const T* rest;      // [.., D], or null where that has no elements
  const T* weight;    // [D, taps of all kernels, width], at a multiple of 16 bytes, or null
  const T* scale;     // [S, C], or null
  const T* bias;      // [S, C]
  T* y;               // [B, S * C]
};

template <class E>
void frozen_text_conv(Stream stream, const FrozenTextConv<E>& args);

}  // namespace textnn::cuda
