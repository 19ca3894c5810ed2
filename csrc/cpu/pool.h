// Maximum and mean over time of the vectors of each sentence, and where each maximum stands.
#pragma once
#include "parallel.h"
#include "sentences.h"

namespace textnn::cpu {

template <class T>
struct MaxMeanPool {
  Sentences sentences;
  int64_t F;
  const T* x;   // token n at x + n * F
  T* y;         // [B, 2F] maxima, then means; zeros for an empty sentence
  int32_t* at;  // [B, F] steps of the maxima, the first of several, or null
};

template <class T>
struct MaxMeanPoolBackward {
  Sentences sentences;  // in rising order of their starts
  int64_t F, N;
  const int32_t* at;  // [B, F]
  const T* dy;        // [B, 2F]
  T* dx;              // [N, F]; zero for tokens of no sentence
};

template <class T>
void max_mean_pool(const ThreadPool& pool, const MaxMeanPool<T>& args);
template <class T>
void max_mean_pool_backward(const ThreadPool& pool, const MaxMeanPoolBackward<T>& args);

}  // namespace textnn::cpu
