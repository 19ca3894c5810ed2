// What a linear layer with cross entropy does to a block of logits between its matrix products:
//
//   z = x W^T + b [N, V]      lse = log sum_v exp(z_v)      w: weights of classes, e: label smoothing, t: target
//
//   loss = (1 - e) w_t (lse - z_t) + e / V sum_v w_v (lse - z_v)
//   dz_v = A exp(z_v - lse) - (1 - e) w_t [v = t] - e / V w_v,    A = (1 - e) w_t + e / V sum_v w_v
//
// The operator (ops/linear_cross_entropy.cpp) goes through blocks of rows, and for each through blocks of columns:
//
//   first    z [n, columns] by a matrix product   -> fold_logits: the running maximum and sum of each row (online
//            softmax: Milakov and Gimelshein 2018); z becomes exp(z - the maximum so far)
//   second   logit_gradients: z becomes dz        -> dx += dz W, dW += dz^T x by matrix products, add_block
//
// So each exp is taken once. Logits are stored as the products have them: float, double or bfloat16 (Bfloat16Logit);
// all else is float or double, sums of a row double.
#pragma once
#include <cstdint>
#include "parallel.h"

namespace textnn::cpu {

struct Bfloat16Logit {
  uint16_t bits;
};
// What is computed with for logits that are stored as S.
template <class S>
struct LogitMath {
  using type = S;
};
template <>
struct LogitMath<Bfloat16Logit> {
  using type = float;
};

// One block of logits.
template <class S>
struct LogitBlock {
  using T = typename LogitMath<S>::type;
  S* z;                    // [rows, columns]
  int64_t rows, columns;   // columns first .. first + columns of V
  int64_t first;           // a row's target is target[row] - first here, if it lies in this block
  const int64_t* target;   // [rows], in [0, V)
  const T *bias, *weight;  // [columns] of this block, or null
};

// What is known of each row after some blocks.
template <class T>
struct RowSums {
  T* top;            // the maximum so far; -inf at first
  double* sum;       // of exp(z - top); 0 at first
  double* weighted;  // sum of w z, where labels are smoothed; 0 at first; or null
  T* score;          // z of the target
};

// A null reference [rows]: nothing is written to z. Otherwise it becomes what z was taken relative to.
template <class S>
void fold_logits(const ThreadPool& pool, const LogitBlock<S>& block, const RowSums<typename LogitBlock<S>::T>& sums,
                 typename LogitBlock<S>::T* reference);

template <class T>
struct GradientFactors {
  const T* reference;  // [rows] of fold_logits; null: z are logits, without their bias
  const T* lse;        // [rows]
  const T *all, *hit;  // [rows] what exp(z - lse) is multiplied by; what is taken off at the target
  const T* smooth;     // [rows] what is taken off everywhere, times the class's weight; or null
};

// dbias [columns] is added to; or null.
template <class S>
void logit_gradients(const ThreadPool& pool, const LogitBlock<S>& block,
                     const GradientFactors<typename LogitBlock<S>::T>& factors, typename LogitBlock<S>::T* dbias);

// to [n] = from, or += from.
template <class S>
void add_block(const ThreadPool& pool, typename LogitMath<S>::type* to, const S* from, int64_t n, bool add);

// to [rows, columns] = the rows of `from` that are named, rounded to what products read.
template <class S>
void gather_rows(const ThreadPool& pool, S* to, const typename LogitMath<S>::type* from, const int64_t* row,
                 int64_t rows, int64_t columns);

}  // namespace textnn::cpu
