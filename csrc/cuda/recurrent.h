// The recurrence of one layer over a ragged batch, one direction or both at once, for every cell of math/cells.h. The
// input's products come ready made, weight gradients are left to the caller: both are matrix products over all steps at
// once. What remains is
//
//   forwards    h[s] = cell(products[s], W_hh h[s-1])             a product [active, P] x [P, GH] at every step
//   backwards   dh[s-1] = W_hh^T dstate[s]                        a product [active, GH] x [GH, P] at every step
//
// in two forms. In steps: the caller makes each product and a kernel the rest (recurrent_steps.cu). Persistent: one
// cooperative launch for the whole sequence, in which every block keeps its slice of W_hh in registers
// (recurrent_persistent.cuh). recurrent_choice.h chooses.
//
// H hidden size, G blocks of H rows in the weights (LSTM 4, GRU 3, Elman 1), P size of the output state: H, or the
// projection's (LSTM alone). Weights and the order of their blocks as in torch.nn; products and gradients of sums have
// the same order. Kept arrays are in packed order, row schedule.row(b, t).
#pragma once
#include "../math/cells.h"
#include "schedule.h"

namespace textnn::cuda {

template <class E>
struct RecurrentForwardDirection {
  bool reverse;
  const Compute<E>* products;  // [rows, GH] W_ih x; with tokens [U, GH]
  const int32_t* token;        // [rows] which of the products belongs to a row, or null
  const E* w_hh;               // [GH, P]
  const E* b_ih;               // [GH] or null
  const E* b_hh;               // [GH] or null
  const E* h0;                 // [B, P] in the caller's order
  const E* c0;                 // [B, H], of cells that have a cell state, else null
  E* y;                        // (b, t) at y_layout, P contiguous values; or null
  E* h_n;                      // [B, P] in the caller's order: the state after each sequence's own last step
  E* c_n;                      // [B, H], or null as c0
  E* steps_c;                  // [rows, H] the cell state after each step, packed order; null if not wanted
  // Kept for the backward pass, null in inference:
  E* kept;         // [rows, kKept of the cell, padded H]
  E* cells;        // [rows, padded H] the cell state after the step, of cells that have one
  E* h_prev;       // [rows, P] before the step
  E* unprojected;  // [rows, H] the state before its projection where there is one, else null
  // Between the steps:
  E* h;           // [2, batch_rows, state_width] the state before even and before odd steps
  Compute<E>* c;  // [B, H], of cells that have a cell state
};

template <class E>
struct RecurrentForward {
  Schedule schedule;
  int64_t H, P, padded;             // padded: H as the kept arrays have it
  int64_t batch_rows, state_width;  // of h: at least B and P, zeros behind them
  int directions;
  Layout y_layout;
  RecurrentForwardDirection<E> direction[2];
};

template <class E>
struct RecurrentBackwardDirection {
  bool reverse;
  const E* dy;      // (b, t) at dy_layout, P contiguous values, or null
  const E* dh_n;    // [B, P] in the caller's order, or null
  const E* dc_n;    // [B, H] or null
  const E* dsteps;  // [rows, H] of the cell state after each step, packed order, or null
  const E* c0;      // [B, H], or null as in the forward pass
  const E* w_hh;    // [GH, P]
  const E* kept;    // as the forward pass has left them
  const E* cells;   //
  const E* h_prev;  //
  // Gradients of the sums, each in the order of its weights, so that one product over all rows makes the gradient of
  // each. The same array for cells both of whose products add to the same sums.
  E* dinput;          // [rows, GH] of those that the input's product adds to
  E* dstate;          // [rows, GH] of those that the state's product adds to
  E* dprojected;      // [rows, P] of the output state where there is a projection, else null
  E* dh0;             // [B, P] in the caller's order
  E* dc0;             // [B, H], or null as c0
  E* exchange;        // [2, batch_rows, state_width] dstate of odd and of even steps, by sequence
  Compute<E>* carry;  // [B, H] what goes from step to step beside the products (math/cell.h)
};

template <class E>
struct RecurrentBackward {
  Schedule schedule;
  int64_t H, P, padded;
  int64_t batch_rows, state_width;  // of the exchange: at least B and GH, zeros behind them
  int directions;
  Layout dy_layout;
  RecurrentBackwardDirection<E> direction[2];
};

// Before the first step: the states by sequence, zeros in what is only padding; the results of empty sequences.
template <class E>
void recurrent_begin(Stream stream, const RecurrentForward<E>& args);
template <class E>
void recurrent_backward_begin(Stream stream, const RecurrentBackward<E>& args);

// --- in steps, for the first `active` sequences of direction d ---

// The cell at step s. recurrent: [active, GH]. m: [active, H] for a projection, or null: then the state is h itself,
// and written to y as well.
template <class Cell, class E>
void recurrent_step(Stream stream, const RecurrentForward<E>& args, int d, int64_t s, int64_t active,
                    const E* recurrent, E* m);
// After a projection has made h: its way into y and h_n.
template <class E>
void recurrent_projected(Stream stream, const RecurrentForward<E>& args, int d, int64_t s, int64_t active);

// The gradient of the output state at step s: that of y, of h_n and, for the first `ahead` sequences, `recurrent`
// [ahead, P] and what the cell carries over. dh [active, P]. After the first step (s = -1): into dh0.
template <class Cell, class E>
void recurrent_backward_state(Stream stream, const RecurrentBackward<E>& args, int d, int64_t s, int64_t active,
                              int64_t ahead, const E* recurrent, E* dh);
// The cell's gradient at step s from dm [active, H], that of the state before a projection.
template <class Cell, class E>
void recurrent_backward_step(Stream stream, const RecurrentBackward<E>& args, int d, int64_t s, int64_t active,
                             const E* dm);

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
template <class Cell, class E>
PersistentGrid persistent_grid(bool tf32, int64_t B, int64_t H, int directions);
template <class Cell, class E>
PersistentGrid persistent_backward_grid(bool tf32, int64_t B, int64_t H, int directions);
template <class Cell, class E>
void recurrent_persistent(Stream stream, const PersistentGrid& grid, bool tf32, const RecurrentForward<E>& args);
template <class Cell, class E>
void recurrent_persistent_backward(Stream stream, const PersistentGrid& grid, bool tf32,
                                   const RecurrentBackward<E>& args);

}  // namespace textnn::cuda

// Every cell with every type of elements, for explicit instantiations.
#define TEXTNN_WITH_CELL(f, Cell) \
  f(Cell, float) f(Cell, double) f(Cell, ::textnn::cuda::Float16) f(Cell, ::textnn::cuda::BFloat16)
#define TEXTNN_FOR_EACH_CELL_AND_ELEMENT(f) \
  TEXTNN_WITH_CELL(f, ::textnn::math::Lstm) \
  TEXTNN_WITH_CELL(f, ::textnn::math::Gru)  \
  TEXTNN_WITH_CELL(f, ::textnn::math::RnnTanh) TEXTNN_WITH_CELL(f, ::textnn::math::RnnRelu)
