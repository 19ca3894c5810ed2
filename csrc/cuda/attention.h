// Attention over a ragged batch (cpu/attention.h, where the equations are): a block takes a few queries of a sentence.
//
//   scores    a warp for each state in turn, its lanes along the H columns
//   softmax   a warp for each query, its lanes along the states
//   context   a thread for each column, which goes through the states
//
// and again for the gradient of the queries. That of the states is a kernel of its own, whose blocks take a few states
// of a sentence and go through its queries. So no sum is made by atomics, and padding is never read.
#pragma once
#include "sizes.h"

namespace textnn::cuda {

template <class E>
struct Attention {
  Sentences sentences;
  bool flat;
  int64_t Q, H, row;  // row: of weights, [B, Q, row = L] of padded states, [Q, row = N] of flat ones
  Compute<E> scale;
  const E* query;   // [B, Q, H]
  const E* states;  // row n at states + n * H
};

template <class E>
struct AttentionForward {
  Attention<E> attention;
  E* context;             // [B, Q, H]; zero without states
  E* weights;             // zero at padding; or null
  Compute<E>* unrounded;  // scratch, as weights; may be the same memory
};

template <class E>
struct AttentionBackward {
  Attention<E> attention;
  const E* weights;     // of the forward pass
  const E* dcontext;    // [B, Q, H] or null
  const E* dweights;    // as weights, or null
  Compute<E>* dscores;  // scratch, as weights
  E* dquery;            // [B, Q, H]
  E* dstates;           // rows as states; zero at padding
};

template <class E>
void attention_forward(Stream stream, const AttentionForward<E>& args);
template <class E>
void attention_backward(Stream stream, const AttentionBackward<E>& args);

}  // namespace textnn::cuda
