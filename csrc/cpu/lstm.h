// One layer and direction of an LSTM over a ragged batch. I input size, H hidden size, P size of the output state: H,
// or the projection's size where w_hr is given (Sak et al. 2014). Weights and gate order (i, f, g, o) as in
// torch.nn.LSTM.
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
struct LstmForward {
  Schedule schedule;
  int64_t I, H, P;
  const T* x;  // (b, t) at x_layout, I contiguous values; with tokens the table [V, I]
  Layout x_layout;
  Tokens tokens;  // if any: x_layout gives the position of (b, t)
  const T* h0;    // [B, P] in the caller's order
  const T* c0;    // [B, H]
  const T* w_ih;  // [4H, I]
  const T* w_hh;  // [4H, P]
  const T* b_ih;  // [4H] or null
  const T* b_hh;  // [4H] or null
  const T* w_hr;  // [P, H] or null
  T* y;           // (b, t) at y_layout, P contiguous values; null if only the final states are wanted
  Layout y_layout;
  T* h_n;  // [B, P] in the caller's order: the state after each sequence's own last step
  T* c_n;  // [B, H]
  // Kept for the backward pass, rows in packed order, units in blocks of U = kUnits (schedule.h); null in inference:
  T* gates;        // [blocks, N, 4, U] activated
  T* cells;        // [blocks, N, U] after the step
  T* h_prev;       // [N, P] before the step
  T* unprojected;  // [N, H] o * tanh(c) where w_hr is given, else null
};

template <class T>
struct LstmBackward {
  Schedule schedule;
  int64_t I, H, P;
  const T* x;  // (b, t) at x_layout, I contiguous values; with tokens the table [V, I]
  Layout x_layout;
  Tokens tokens;  // if any: x_layout gives the position of (b, t)
  const T* dy;    // (b, t) at dy_layout, or null
  Layout dy_layout;
  const T* dh_n;         // [B, P] or null
  const T* dc_n;         // [B, H] or null
  const T* c0;           // [B, H]
  const T* w_ih;         // [4H, I]
  const T* w_hh;         // [4H, P]
  const T* w_hr;         // [P, H] or null
  const T* gates;        // [blocks, N, 4, U]
  const T* cells;        // [blocks, N, U]
  const T* h_prev;       // [N, P]
  const T* unprojected;  // [N, H] or null
  T* dx;                 // (b, t) at dx_layout, with tokens [U, I]; or null
  Layout dx_layout;
  bool add_dx;  // whether dx is added to what stands there
  T* dh0;       // [B, P] in the caller's order
  T* dc0;       // [B, H]
  T* dw_ih;     // [4H, I]
  T* dw_hh;     // [4H, P]
  T* db;        // [4H]
  T* dw_hr;     // [P, H] or null
};

template <class T>
void lstm_forward(const ThreadPool& pool, const LstmForward<T>& args);
template <class T>
void lstm_backward(const ThreadPool& pool, const LstmBackward<T>& args);

// Both directions of a layer, forwards and in reverse, of the same batch and sizes; their outputs stand side by side.
// At the same time, with one thread each, where a core's cache holds what a direction reads at every step and its
// threads would have to wait for each other between the steps; else one behind the other with all threads.
template <class T>
void bilstm_forward(const ThreadPool& pool, const LstmForward<T>& ahead, const LstmForward<T>& reverse);
// The input's gradient is the sum of both: that of `ahead` is written, that of `reverse` added.
template <class T>
void bilstm_backward(const ThreadPool& pool, const LstmBackward<T>& ahead, const LstmBackward<T>& reverse);

}  // namespace textnn::cpu
