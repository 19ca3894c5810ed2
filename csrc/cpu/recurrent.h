// One layer and direction of a recurrent network over a ragged batch, for every cell of math/cells.h. I input size, H
// hidden size, G blocks of H rows in the weights (LSTM 4, GRU 3, Elman 1), P size of the output state: H, or the
// projection's size where w_hr is given (Sak et al. 2014; LSTM alone). Weights and their order as in torch.nn.
//
// The input is a vector for each position; or, with Tokens, rows of a table, of which a batch of text repeats most: the
// products of a row are then made once.
#pragma once
#include "parallel.h"
#include "schedule.h"

namespace textnn::cpu {

// Which row of a table stands at each position.
struct Tokens {
  int64_t U;                // distinct tokens
  const int64_t* distinct;  // [U] their rows, rising
  const int32_t* token;     // [positions] which of them, or null: positions have vectors of their own
};

template <class T>
struct RecurrentForward {
  Schedule schedule;
  int64_t I, H, P;
  const T* x;  // (b, t) at x_layout, I contiguous values; with tokens the table [V, I]
  Layout x_layout;
  Tokens tokens;     // if any: x_layout gives the position of (b, t)
  const T* h0;       // [B, P] in the caller's order
  const T* c0;       // [B, H], of cells that have a cell state
  const T* w_ih;     // [GH, I]
  const T* w_hh;     // [GH, P]
  const T* b_ih;     // [GH] or null
  const T* b_hh;     // [GH] or null
  const T* w_hr;     // [P, H] or null
  T* y;              // (b, t) at y_layout, P contiguous values; null if only the final states are wanted
  uint16_t* y_half;  // in the place of y: the same in bfloat16
  Layout y_layout;
  T* c;  // (b, t) at c_layout, H contiguous values: the cell state after each step; null if not wanted
  Layout c_layout;
  T* h_n;  // [B, P] in the caller's order: the state after each sequence's own last step
  T* c_n;  // [B, H]
  // Kept for the backward pass, rows in packed order, units in blocks of U = kUnits (schedule.h); null in inference:
  T* kept;         // [blocks, N, kKept of the cell, U]
  T* cells;        // [blocks, N, U] the cell state after the step
  T* h_prev;       // [N, P] before the step
  T* unprojected;  // [N, H] the state before its projection where w_hr is given, else null
  bool bfloat16;   // whether products multiply bfloat16, of T = float (precision.h); all else is T
};

template <class T>
struct RecurrentBackward {
  Schedule schedule;
  int64_t I, H, P;
  const T* x;  // (b, t) at x_layout, I contiguous values; with tokens the table [V, I]
  Layout x_layout;
  Tokens tokens;            // if any: x_layout gives the position of (b, t)
  const T* dy;              // (b, t) at dy_layout, or null
  const uint16_t* dy_half;  // in the place of dy: the same in bfloat16
  Layout dy_layout;
  const T* dc;  // (b, t) at dc_layout, of the cell state after each step, or null
  Layout dc_layout;
  const T* dh_n;         // [B, P] or null
  const T* dc_n;         // [B, H] or null
  const T* c0;           // [B, H]
  const T* w_ih;         // [GH, I]
  const T* w_hh;         // [GH, P]
  const T* w_hr;         // [P, H] or null
  const T* kept;         // as the forward pass has left them
  const T* cells;        //
  const T* h_prev;       //
  const T* unprojected;  //
  T* dx;                 // (b, t) at dx_layout, with tokens [U, I]; or null
  Layout dx_layout;
  bool add_dx;    // whether dx is added to what stands there
  T* dh0;         // [B, P] in the caller's order
  T* dc0;         // [B, H]
  T* dw_ih;       // [GH, I]
  T* dw_hh;       // [GH, P]
  T* db_ih;       // [GH]
  T* db_hh;       // [GH], only where it differs from db_ih; otherwise not written
  T* dw_hr;       // [P, H] or null
  bool bfloat16;  // as in the forward pass
};

// Cell: math::Lstm, math::Gru, ... (math/cells.h)
template <class Cell, class T>
void recurrent_forward(const ThreadPool& pool, const RecurrentForward<T>& args);
template <class Cell, class T>
void recurrent_backward(const ThreadPool& pool, const RecurrentBackward<T>& args);

// Both directions of a layer, forwards and in reverse, of the same batch and sizes; their outputs stand side by side.
// At the same time, with one thread each, where a core's cache holds what a direction reads at every step and its
// threads would have to wait for each other between the steps; else one behind the other with all threads.
template <class Cell, class T>
void bidirectional_forward(const ThreadPool& pool, const RecurrentForward<T>& ahead,
                           const RecurrentForward<T>& reverse);
// The input's gradient is the sum of both: that of `ahead` is written, that of `reverse` added.
template <class Cell, class T>
void bidirectional_backward(const ThreadPool& pool, const RecurrentBackward<T>& ahead,
                            const RecurrentBackward<T>& reverse);

}  // namespace textnn::cpu
