// Linear-chain conditional random field over a ragged batch: log-likelihoods with gradients, marginals, best paths.
//
//   score(y)  = start[y_0] + sum_t x[t][y_t] + sum_t transitions[y_(t-1)][y_t] + end[y_last]
//   log p(y)  = score(y) - log Z,   Z = sum of exp(score) over all K^length paths
//
// Scores may be -inf: what they belong to is forbidden. Three ways to Z and its gradient, the first that is safe for a
// sequence:
//
//   scaled          alpha_t = (alpha_(t-1) exp(transitions)) * exp(x_t), scaled to sum one: K^2 products a step, no exp
//   scaled, float64 the same in double for sequences of float32
//   logarithms      log-sum-exp in double: K^2 exps a step
//
// Scaled numbers below the smallest one are lost. That cannot matter where all transitions and end scores are finite
// and neither spread over more than kSpread: a tag's future is then worth at most e^kSpread times another's, and what
// is lost weighs less than e^(2 kSpread - 87) of Z in float32, whatever the emissions. Elsewhere (forbidden
// transitions) a sequence counts as safe only if no number that is not zero falls below the smallest one (Tracked in
// crf_scaled.h).
#pragma once
#include "parallel.h"
#include "sentences.h"

namespace textnn::cpu {

template <class T>
constexpr T kSpread = sizeof(T) == 4 ? T(30) : T(330);

template <class T>
struct Crf {
  Sentences sentences;    // start: the row of the first step
  int64_t step, longest;  // rows between steps; steps that a padded sequence has room for, 0 in a flat batch
  int64_t K;
  const T* x;            // row n at x + n * K
  const T *start, *end;  // [K]
  const T* transitions;  // [K, K] from, to
  const int64_t* tags;   // one for each row; null: a path's score counts as 0, and the result is -log Z
};

template <class T>
struct CrfForward {
  Crf<T> crf;
  T* y;       // [B] 0 for an empty sequence, -inf where no path is allowed
  T* alphas;  // rows as x, or null; the first of a sequence that is not scaled is -1
};

template <class T>
struct CrfBackward {
  Crf<T> crf;
  const T* dy;                      // [B]
  const T* alphas;                  // null: they are made here
  T* dx;                            // rows as x; zero at padding
  T *dstart, *dend, *dtransitions;  // [K], [K], [K, K]; null: dx becomes the marginals
};

template <class T>
struct CrfDecode {
  Crf<T> crf;
  int64_t best, rows;  // how many paths; rows of x
  int64_t* tags;       // [best, rows]; zero at padding, and for paths that do not exist
  T* scores;           // [best, B] falling; -inf for paths that do not exist
};

template <class T>
void crf_forward(const ThreadPool& pool, const CrfForward<T>& args);
template <class T>
void crf_backward(const ThreadPool& pool, const CrfBackward<T>& args);
template <class T>
void crf_decode(const ThreadPool& pool, const CrfDecode<T>& args);

}  // namespace textnn::cpu
