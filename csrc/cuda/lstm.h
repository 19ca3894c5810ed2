// The recurrence of one layer over a ragged batch, one direction or both at once. The input's products come ready made,
// weight gradients are left to the caller: both are matrix products over all steps at once. What remains is
//
//   forwards    h[s] = cell(products[s] + W_hh h[s-1])            a product [active, P] x [P, 4H] at every step
//   backwards   dh[s-1] = W_hh^T dgates[s]                        a product [active, 4H] x [4H, P] at every step
//
// in two forms. In steps: the caller makes each product and a kernel the rest (lstm_steps.cu). Persistent: one
// cooperative launch for the whole sequence, in which every block keeps its slice of W_hh in registers
// (lstm_persistent.cuh). lstm_choice.h chooses.
//
// H hidden size, P size of the output state: H, or the projection's. Weights and gate order (i, f, g, o) as in
// torch.nn.LSTM. Kept arrays are in packed order, row schedule.row(b, t).
#pragma once
#include "schedule.h"

namespace textnn::cuda {

template <class E>
struct LstmForwardDirection {
  bool reverse;
  const Compute<E>* products;  // [rows, 4H] W_ih x; with tokens [U, 4H]
  const int32_t* token;        // [rows] which of the products belongs to a row, or null
  const E* w_hh;               // [4H, P]
  const E* b_ih;               // [4H] or null
  const E* b_hh;               // [4H] or null
  const E* h0;                 // [B, P] in the caller's order
  const E* c0;                 // [B, H]
  E* y;                        // (b, t) at y_layout, P contiguous values; or null
  E* h_n;                      // [B, P] in the caller's order: the state after each sequence's own last step
  E* c_n;                      // [B, H]
  // Kept for the backward pass, null in inference:
  E* gates;        // [rows, 4, padded H] activated
  E* cells;        // [rows, padded H] after the step
  E* h_prev;       // [rows, P] before the step
  E* unprojected;  // [rows, H] o * tanh(c) where there is a projection, else null
  // Between the steps:
  E* h;           // [2, batch_rows, state_width] the state before even and before odd steps
  Compute<E>* c;  // [B, H]
};

template <class E>
struct LstmForward {
  Schedule schedule;
  int64_t H, P, padded;             // padded: H as the kept arrays have it
  int64_t batch_rows, state_width;  // of h: at least B and P, zeros behind them
  int directions;
  Layout y_layout;
  LstmForwardDirection<E> direction[2];
};

template <class E>
struct LstmBackwardDirection {
  bool reverse;
  const E* dy;     // (b, t) at dy_layout, P contiguous values, or null
  const E* dh_n;   // [B, P] in the caller's order, or null
  const E* dc_n;   // [B, H] or null
  const E* c0;     // [B, H]
  const E* w_hh;   // [4H, P]
  const E* gates;  // [rows, 4, padded H]
  const E* cells;  // [rows, padded H]
  E* dgates;       // [rows, 4H] of the pre-activations
  E* dprojected;   // [rows, P] of the output state where there is a projection, else null
  E* dh0;          // [B, P] in the caller's order
  E* dc0;          // [B, H]
  E* exchange;     // [2, batch_rows, state_width] dgates of odd and of even steps, by sequence
  Compute<E>* dc;  // [B, H]
};

template <class E>
struct LstmBackward {
  Schedule schedule;
  int64_t H, P, padded;
  int64_t batch_rows, state_width;  // of the exchange: at least B and 4H, zeros behind them
  int directions;
  Layout dy_layout;
  LstmBackwardDirection<E> direction[2];
};

// Before the first step: the states by sequence, zeros in what is only padding; the results of empty sequences.
template <class E>
void lstm_begin(Stream stream, const LstmForward<E>& args);
template <class E>
void lstm_backward_begin(Stream stream, const LstmBackward<E>& args);

// --- in steps, for the first `active` sequences of direction d ---

// The cell at step s. m: [active, H] for a projection, or null: then the state is h itself, and written to y as well.
template <class E>
void lstm_step(Stream stream, const LstmForward<E>& args, int d, int64_t s, int64_t active, const E* recurrent, E* m);
// After a projection has made h: its way into y and h_n.
template <class E>
void lstm_projected(Stream stream, const LstmForward<E>& args, int d, int64_t s, int64_t active);

// The gradient of the output state at step s: that of y, of h_n and, for the first `ahead` sequences, `recurrent`
// [ahead, P]. dh [active, P]. After the first step (s = -1): into dh0.
template <class E>
void lstm_backward_state(Stream stream, const LstmBackward<E>& args, int d, int64_t s, int64_t active, int64_t ahead,
                         const E* recurrent, E* dh);
// The cell's gradient at step s from dm [active, H], that of o * tanh(c).
template <class E>
void lstm_backward_step(Stream stream, const LstmBackward<E>& args, int d, int64_t s, int64_t active, const E* dm);

// --- persistent ---

// How the blocks of a persistent launch share the work: `slices` of the weights times `groups` of sequences times
// directions, all of which have to be on the device at the same time.
struct PersistentGrid {
  bool possible;
  int slices, groups, rows_at_once;  // sequences of a tile
  int capacity;                      // state_width, and which instance of the kernel; 0: there is none
  int64_t blocks, resident;  // needed at the least, and how many the device holds at once; 0 if it cannot at all
};
int64_t multiprocessors();  // of the current device
// For the current device. tf32: whether products of float32 may be made in TF32.
template <class E>
PersistentGrid lstm_persistent_grid(bool tf32, int64_t B, int64_t H, int directions);
template <class E>
PersistentGrid lstm_persistent_backward_grid(bool tf32, int64_t B, int64_t H, int directions);
template <class E>
void lstm_persistent(Stream stream, const PersistentGrid& grid, bool tf32, const LstmForward<E>& args);
template <class E>
void lstm_persistent_backward(Stream stream, const PersistentGrid& grid, bool tf32, const LstmBackward<E>& args);

}  // namespace textnn::cuda
