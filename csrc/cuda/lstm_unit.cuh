// What both forms of the recurrence do at one (sequence, step, unit) once the recurrent product is there.
#pragma once
#include "../math/lstm.h"
#include "lstm.h"
#include "scalar_math.h"
#include "storage.h"

namespace textnn::cuda {

// The cell of unit j: reads the input's product, keeps what the backward pass needs, returns o * tanh(c).
template <class E>
__device__ Compute<E> forward_unit(const LstmForward<E>& a, const LstmForwardDirection<E>& d, int64_t b, int64_t s,
                                   int64_t j, const Compute<E> (&recurrent)[4]) {
  using C = Compute<E>;
  const int64_t row = a.schedule.row(b, a.schedule.time(b, s, d.reverse));
  const C* product = d.products + (d.token ? d.token[row] : row) * 4 * a.H + j;
  C pre[4];
#pragma unroll
  for (int g = 0; g < 4; ++g) {
    pre[g] = recurrent[g] + product[g * a.H];
    if (d.b_ih) pre[g] += load(d.b_ih + g * a.H + j);
    if (d.b_hh) pre[g] += load(d.b_hh + g * a.H + j);
  }
  const auto gate = math::lstm_activate<ScalarMath<C>>(math::LstmGates<C>{pre[0], pre[1], pre[2], pre[3]});
  C& c = d.c[b * a.H + j];
  const auto state = math::lstm_update<ScalarMath<C>>(gate, c);
  c = state.c;
  if (d.gates) {
    E* kept = d.gates + row * 4 * a.padded + j;
    store(kept, gate.i);
    store(kept + a.padded, gate.f);
    store(kept + 2 * a.padded, gate.g);
    store(kept + 3 * a.padded, gate.o);
    store(d.cells + row * a.padded + j, state.c);
  }
  if (s + 1 == a.schedule.length[b]) store(d.c_n + a.schedule.sequence[b] * a.H + j, state.c);
  return state.m;
}

// Value j of the state before step s, kept for the gradient of W_hh.
template <class E>
__device__ void keep_state(const LstmForward<E>& a, const LstmForwardDirection<E>& d, int64_t b, int64_t s, int64_t j,
                           E h) {
  if (d.h_prev) d.h_prev[a.schedule.row(b, a.schedule.time(b, s, d.reverse)) * a.P + j] = h;
}

// Value j of the state after step s into the results.
template <class E>
__device__ void emit_state(const LstmForward<E>& a, const LstmForwardDirection<E>& d, int64_t b, int64_t s, int64_t j,
                           E h) {
  if (d.y) d.y[offset(a.y_layout, a.schedule, b, a.schedule.time(b, s, d.reverse)) + j] = h;
  if (s + 1 == a.schedule.length[b]) d.h_n[a.schedule.sequence[b] * a.P + j] = h;
}

// The gradient of value j of the state after step s, but for what comes from step s + 1.
template <class E>
__device__ Compute<E> state_gradient(const LstmBackward<E>& a, const LstmBackwardDirection<E>& d, int64_t b, int64_t s,
                                     int64_t j) {
  Compute<E> dh = 0;
  if (d.dy) dh += load(d.dy + offset(a.dy_layout, a.schedule, b, a.schedule.time(b, s, d.reverse)) + j);
  if (d.dh_n && s + 1 == a.schedule.length[b]) dh += load(d.dh_n + a.schedule.sequence[b] * a.P + j);
  return dh;
}

// The cell's gradient of unit j from dm, that of o * tanh(c): into dgates, the exchange, and dc for the step before.
template <class E>
__device__ void backward_unit(const LstmBackward<E>& a, const LstmBackwardDirection<E>& d, int64_t b, int64_t s,
                              int64_t j, Compute<E> dm) {
  using C = Compute<E>;
  const int64_t q = a.schedule.sequence[b], row = a.schedule.row(b, a.schedule.time(b, s, d.reverse));
  const E* kept = d.gates + row * 4 * a.padded + j;
  const math::LstmGates<C> gate{load(kept), load(kept + a.padded), load(kept + 2 * a.padded),
                                load(kept + 3 * a.padded)};
  C dc = d.dc[b * a.H + j];
  if (s + 1 == a.schedule.length[b]) dc = d.dc_n ? load(d.dc_n + q * a.H + j) : C(0);
  const C before = s == 0 ? load(d.c0 + q * a.H + j)
                          : load(d.cells + a.schedule.row(b, a.schedule.time(b, s - 1, d.reverse)) * a.padded + j);
  const auto g = math::lstm_backward<ScalarMath<C>>(gate, before, load(d.cells + row * a.padded + j), dm, dc);
  d.dc[b * a.H + j] = dc;
  if (s == 0) store(d.dc0 + q * a.H + j, dc);
  const C gradient[4] = {g.i, g.f, g.g, g.o};
  E* shared = d.exchange + ((s % 2) * a.batch_rows + b) * a.state_width + j;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    store(d.dgates + (row * 4 + k) * a.H + j, gradient[k]);
    store(shared + k * a.H, gradient[k]);
  }
}

}  // namespace textnn::cuda
