// Maximum and mean over time of the vectors of each sentence, and where each maximum stands (cpu/pool.h).
#pragma once
#include "sizes.h"

namespace textnn::cuda {

template <class E>
struct MaxMeanPool {
  Sentences sentences;
  int64_t F;
  const E* x;   // token n at x + n * F
  E* y;         // [B, 2F] maxima, then means; zeros for an empty sentence
  int32_t* at;  // [B, F] steps of the maxima, the first of several, or null
};

template <class E>
struct MaxMeanPoolBackward {
  Sentences sentences;  // in rising order of their starts
  int64_t F, N;
  const int32_t* at;  // [B, F]
  const E* dy;        // [B, 2F]
  E* dx;              // [N, F]; zero for tokens of no sentence
};

template <class E>
void max_mean_pool(Stream stream, const MaxMeanPool<E>& args);
template <class E>
void max_mean_pool_backward(Stream stream, const MaxMeanPoolBackward<E>& args);

}  // namespace textnn::cuda
