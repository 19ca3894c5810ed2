// Linear-chain conditional random field (cpu/crf.h), in logarithms. A block has a sequence, a thread a tag, or every
// so-manieth tag where there are more than threads.
#pragma once
#include "sizes.h"

namespace textnn::cuda {

constexpr int64_t kMostTags = 2048;  // whose scores of three steps fit into shared memory, in float64

template <class E>
struct Crf {
  Sentences sentences;  // start: the row of the first step; with time_major their own number
  int64_t step, longest;
  bool time_major;
  int64_t K;
  const E *x, *start, *end, *transitions;
  const int64_t* tags;  // or null
};

template <class E>
struct CrfForward {
  Crf<E> crf;
  E* y;       // [B] or null
  E* alphas;  // rows as x, or null: log-sum-exp of the paths to a tag, less the greatest terms of its step
};

template <class E>
struct CrfBackward {
  Crf<E> crf;
  const E* dy;                           // [B]
  const E* alphas;                       // of the forward pass
  E *dx, *dstart, *dend, *dtransitions;  // all but dx null: it becomes the marginals
  int64_t runs;                          // blocks, each with every so-manieth sequence
  E* sums;                               // [runs, K * K + 2 * K] scratch
};

template <class E>
struct CrfDecode {
  Crf<E> crf;
  int64_t best, rows;
  int64_t* tags;   // [best, rows]
  E* scores;       // [best, B]
  E* ahead;        // [B, 2, K, best] scratch
  int32_t* from;   // [rows, K, best] scratch
  int32_t* heads;  // [B, K, K] scratch where best > 1
};

template <class E>
void crf_forward(Stream stream, const CrfForward<E>& args);
template <class E>
void crf_backward(Stream stream, const CrfBackward<E>& args);
template <class E>
void crf_decode(Stream stream, const CrfDecode<E>& args);

}  // namespace textnn::cuda
