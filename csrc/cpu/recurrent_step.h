// One step of all layers of a recurrent stack, for generation. L layers, B sequences, H hidden units, P columns of the
// output state (H, or those of a projection), G blocks of H rows in a weight (LSTM 4, GRU 3, Elman 1).
//
// Weights are read where torch has them, [rows, columns]: a step of few sequences reads each of them once, which is
// what bounds it, so a packed copy would cost memory and save nothing.
#pragma once
#include "parallel.h"

namespace textnn::cpu {

template <class T>
struct StepLayer {
  int64_t I;             // columns of w_ih
  const T *w_ih, *w_hh;  // [GH, I] and [GH, P]
  const T *b_ih, *b_hh;  // [GH] or null
  const T* w_hr;         // [P, H] or null
};

template <class T>
struct RecurrentStep {
  int64_t L, B, H, P;
  const StepLayer<T>* layers;  // [L], the lowest first
  const T* const* x;           // [B] where the input of each sequence stands
  const T* h;                  // [L, B, P]
  const T* c;                  // [L, B, H] of cells that have a cell state, else null
  T* y;                        // [B, P]
  T* h_next;                   // [L, B, P]
  T* c_next;                   // [L, B, H], or null as c
};

template <class Cell, class T>
void recurrent_step(const ThreadPool& pool, const RecurrentStep<T>& args);

}  // namespace textnn::cpu
