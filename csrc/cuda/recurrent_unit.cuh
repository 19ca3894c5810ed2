// What both forms of the recurrence do at one (sequence, step, unit) once the recurrent product is there.
#pragma once
#include "recurrent.h"
#include "scalar_math.h"
#include "storage.h"

namespace textnn::cuda {

// The cell's output of unit j from its part of the recurrent product, block by block, and its state before the step:
// reads the input's product, keeps what the backward pass needs.
template <class Cell, class E>
__device__ Compute<E> forward_unit(const RecurrentForward<E>& a, const RecurrentForwardDirection<E>& d, int64_t b,
                                   int64_t s, int64_t j, const Compute<E> (&recurrent)[Cell::kState.size],
                                   Compute<E> h_prev) {
  using C = Compute<E>;
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kState.size;
  const int64_t row = a.schedule.row(b, a.schedule.time(b, s, d.reverse));
  const C* product = d.products + (d.token ? d.token[row] : row) * G * a.H + j;
  C sum[Cell::kSums] = {}, c = 0, kept[Cell::kKept];
#pragma unroll
  for (int g = 0; g < G; ++g) sum[kState + g] = recurrent[g];
#pragma unroll
  for (int g = 0; g < G; ++g) {
    const int64_t block = Cell::input_block(g) * a.H;
    sum[kInput + g] += product[block];
    if (d.b_ih) sum[kInput + g] += load(d.b_ih + block + j);
  }
  if (d.b_hh)
#pragma unroll
    for (int g = 0; g < G; ++g) sum[kState + g] += load(d.b_hh + Cell::state_block(g) * a.H + j);
  if constexpr (Cell::kCell) c = d.c[b * a.H + j];
  const C h = Cell::template forward<ScalarMath<C>>(sum, h_prev, c, kept);
  if constexpr (Cell::kCell) d.c[b * a.H + j] = c;
  if (d.kept) {
    E* to = d.kept + row * Cell::kKept * a.padded + j;
#pragma unroll
    for (int i = 0; i < Cell::kKept; ++i) store(to + i * a.padded, kept[i]);
    if constexpr (Cell::kCell) store(d.cells + row * a.padded + j, c);
  }
  if constexpr (Cell::kCell)
    if (d.steps_c) store(d.steps_c + row * a.H + j, c);
  if constexpr (Cell::kCell)
    if (s + 1 == a.schedule.length[b]) store(d.c_n + a.schedule.sequence[b] * a.H + j, c);
  return h;
}

// Value j of the state before step s, kept for the gradient of W_hh.
template <class E>
__device__ void keep_state(const RecurrentForward<E>& a, const RecurrentForwardDirection<E>& d, int64_t b, int64_t s,
                           int64_t j, E h) {
  if (d.h_prev) d.h_prev[a.schedule.row(b, a.schedule.time(b, s, d.reverse)) * a.P + j] = h;
}

// Value j of the state after step s into the results.
template <class E>
__device__ void emit_state(const RecurrentForward<E>& a, const RecurrentForwardDirection<E>& d, int64_t b, int64_t s,
                           int64_t j, E h) {
  if (d.y) d.y[offset(a.y_layout, a.schedule, b, a.schedule.time(b, s, d.reverse)) + j] = h;
  if (s + 1 == a.schedule.length[b]) d.h_n[a.schedule.sequence[b] * a.P + j] = h;
}

// The gradient of value j of the state after step s, but for what comes from step s + 1.
template <class E>
__device__ Compute<E> state_gradient(const RecurrentBackward<E>& a, const RecurrentBackwardDirection<E>& d, int64_t b,
                                     int64_t s, int64_t j) {
  Compute<E> dh = 0;
  if (d.dy) dh += load(d.dy + offset(a.dy_layout, a.schedule, b, a.schedule.time(b, s, d.reverse)) + j);
  if (d.dh_n && s + 1 == a.schedule.length[b]) dh += load(d.dh_n + a.schedule.sequence[b] * a.P + j);
  return dh;
}

// What comes from the step behind, where the sequence has one, from that step's product with W_hh.
template <class Cell, class E>
__device__ Compute<E> later_gradient(const RecurrentBackward<E>& a, const RecurrentBackwardDirection<E>& d, int64_t b,
                                     int64_t j, Compute<E> product) {
  if constexpr (Cell::kCarry == math::Carry::kState) product += d.carry[b * a.H + j];
  return product;
}

// The cell's gradient of unit j from that of its output: into dinput and dstate, the exchange, and the carry for the
// step before. In another order of the loads the persistent kernel of the longest columns, which has 128 registers,
// spills one.
template <class Cell, class E>
__device__ void backward_unit(const RecurrentBackward<E>& a, const RecurrentBackwardDirection<E>& d, int64_t b,
                              int64_t s, int64_t j, Compute<E> dm) {
  using C = Compute<E>;
  constexpr bool kCellCarries = Cell::kCarry == math::Carry::kCell;
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kState.size;
  const int64_t q = a.schedule.sequence[b], row = a.schedule.row(b, a.schedule.time(b, s, d.reverse));
  const E* from = d.kept + row * Cell::kKept * a.padded + j;
  C kept[Cell::kKept], h_prev = 0, before = 0, c = 0, carry = 0, dsum[Cell::kSums];
#pragma unroll
  for (int i = 0; i < Cell::kKept; ++i) kept[i] = load(from + i * a.padded);
  if constexpr (Cell::kReadsState) h_prev = load(d.h_prev + row * a.P + j);
  if constexpr (kCellCarries) {
    carry = d.carry[b * a.H + j];
    if (s + 1 == a.schedule.length[b]) carry = d.dc_n ? load(d.dc_n + q * a.H + j) : C(0);
    if (d.dsteps) carry += load(d.dsteps + row * a.H + j);
  }
  if constexpr (Cell::kCell) {
    before = s == 0 ? load(d.c0 + q * a.H + j)
                    : load(d.cells + a.schedule.row(b, a.schedule.time(b, s - 1, d.reverse)) * a.padded + j);
    c = load(d.cells + row * a.padded + j);
  }
  Cell::template backward<ScalarMath<C>>(kept, h_prev, before, c, dm, carry, dsum);
  if constexpr (Cell::kCarry != math::Carry::kNone) d.carry[b * a.H + j] = carry;
  if constexpr (kCellCarries)
    if (s == 0) store(d.dc0 + q * a.H + j, carry);
  E* shared = d.exchange + ((s % 2) * a.batch_rows + b) * a.state_width + j;
#pragma unroll
  for (int g = 0; g < G; ++g) {
    store(d.dstate + (row * G + Cell::state_block(g)) * a.H + j, dsum[kState + g]);
    store(shared + Cell::state_block(g) * a.H, dsum[kState + g]);
  }
  if constexpr (!(Cell::kInput == Cell::kState))
#pragma unroll
    for (int g = 0; g < G; ++g) store(d.dinput + (row * G + Cell::input_block(g)) * a.H + j, dsum[kInput + g]);
}

}  // namespace textnn::cuda
