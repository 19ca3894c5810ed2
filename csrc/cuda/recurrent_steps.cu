// The recurrence in steps: one kernel a step beside the matrix product, a thread for each (sequence, unit) of those
// that are active, units side by side.
#include "recurrent_unit.cuh"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256;

template <class E>
__global__ void __launch_bounds__(kThreads, 1) begin_kernel(RecurrentForward<E> a) {
  const int64_t per_state = a.batch_rows * a.state_width, wide = a.H > a.P ? a.H : a.P;
  const RecurrentForwardDirection<E>& d = a.direction[blockIdx.y];
  for (int64_t n = first_element(); n < per_state; n += element_stride()) {
    const int64_t b = n / a.state_width, j = n % a.state_width;
    const bool real = b < a.schedule.B && j < a.P;
    d.h[n] = real ? d.h0[a.schedule.sequence[b] * a.P + j] : E{};
    d.h[per_state + n] = E{};
  }
  for (int64_t n = first_element(); n < a.schedule.B * wide; n += element_stride()) {
    const int64_t b = n / wide, j = n % wide, q = a.schedule.sequence[b];
    const bool empty = a.schedule.length[b] == 0;
    if (d.c0 && j < a.H) {
      d.c[b * a.H + j] = load(d.c0 + q * a.H + j);
      if (empty) d.c_n[q * a.H + j] = d.c0[q * a.H + j];
    }
    if (j < a.P && empty) d.h_n[q * a.P + j] = d.h0[q * a.P + j];
  }
}

template <class E>
__global__ void __launch_bounds__(kThreads, 1) backward_begin_kernel(RecurrentBackward<E> a) {
  const int64_t both = 2 * a.batch_rows * a.state_width, wide = a.H > a.P ? a.H : a.P;
  const RecurrentBackwardDirection<E>& d = a.direction[blockIdx.y];
  for (int64_t n = first_element(); n < both; n += element_stride()) d.exchange[n] = E{};
  for (int64_t n = first_element(); n < a.schedule.B * wide; n += element_stride()) {
    const int64_t b = n / wide, j = n % wide, q = a.schedule.sequence[b];
    if (a.schedule.length[b] > 0) continue;
    if (d.dc0 && j < a.H) d.dc0[q * a.H + j] = d.dc_n ? d.dc_n[q * a.H + j] : E{};
    if (j < a.P) d.dh0[q * a.P + j] = d.dh_n ? d.dh_n[q * a.P + j] : E{};
  }
}

template <class Cell, class E>
__global__ void __launch_bounds__(kThreads, 1)
    step_kernel(RecurrentForward<E> a, int direction, int64_t s, int64_t active, const E* recurrent, E* m) {
  const RecurrentForwardDirection<E>& d = a.direction[direction];
  const int64_t now = min(active, a.schedule.batch_size[s]), wide = a.H > a.P ? a.H : a.P;
  const E* h = d.h + (s % 2) * a.batch_rows * a.state_width;
  E* next = d.h + ((s + 1) % 2) * a.batch_rows * a.state_width;
  for (int64_t n = first_element(); n < now * wide; n += element_stride()) {
    const int64_t b = n / wide, j = n % wide;
    if (j < a.P) keep_state(a, d, b, s, j, h[b * a.state_width + j]);
    if (j >= a.H) continue;
    constexpr int G = Cell::kState.size;
    Compute<E> sum[G], h_prev = 0;
#pragma unroll
    for (int g = 0; g < G; ++g) sum[g] = load(recurrent + (b * G + Cell::state_block(g)) * a.H + j);
    if constexpr (Cell::kReadsState) h_prev = load(h + b * a.state_width + j);
    E state;
    store(&state, forward_unit<Cell>(a, d, b, s, j, sum, h_prev));
    if (m) {
      m[b * a.H + j] = state;
      if (d.unprojected) d.unprojected[a.schedule.row(b, a.schedule.time(b, s, d.reverse)) * a.H + j] = state;
    } else {
      next[b * a.state_width + j] = state;
      emit_state(a, d, b, s, j, state);
    }
  }
}

template <class E>
__global__ void __launch_bounds__(kThreads, 1)
    projected_kernel(RecurrentForward<E> a, int direction, int64_t s, int64_t active) {
  const RecurrentForwardDirection<E>& d = a.direction[direction];
  const int64_t now = min(active, a.schedule.batch_size[s]);
  const E* next = d.h + ((s + 1) % 2) * a.batch_rows * a.state_width;
  for (int64_t n = first_element(); n < now * a.P; n += element_stride())
    emit_state(a, d, n / a.P, s, n % a.P, next[n / a.P * a.state_width + n % a.P]);
}

template <class Cell, class E>
__global__ void __launch_bounds__(kThreads, 1)
    backward_state_kernel(RecurrentBackward<E> a, int direction, int64_t s, int64_t active, int64_t ahead,
                          const E* recurrent, E* dh) {
  const RecurrentBackwardDirection<E>& d = a.direction[direction];
  const int64_t T = a.schedule.T, later = s + 1 < T ? min(ahead, a.schedule.batch_size[s + 1]) : 0;
  const int64_t now = s < 0 ? later : min(active, a.schedule.batch_size[s]);
  for (int64_t n = first_element(); n < now * a.P; n += element_stride()) {
    const int64_t b = n / a.P, j = n % a.P;
    Compute<E> g = b < later ? later_gradient<Cell>(a, d, b, j, load(recurrent + n)) : Compute<E>(0);
    if (s < 0) {
      store(d.dh0 + a.schedule.sequence[b] * a.P + j, g);
      continue;
    }
    g += state_gradient(a, d, b, s, j);
    store(dh + n, g);
    if (d.dprojected) store(d.dprojected + a.schedule.row(b, a.schedule.time(b, s, d.reverse)) * a.P + j, g);
  }
}

template <class Cell, class E>
__global__ void __launch_bounds__(kThreads, 1)
    backward_step_kernel(RecurrentBackward<E> a, int direction, int64_t s, int64_t active, const E* dm) {
  const RecurrentBackwardDirection<E>& d = a.direction[direction];
  const int64_t now = min(active, a.schedule.batch_size[s]);
  for (int64_t n = first_element(); n < now * a.H; n += element_stride())
    backward_unit<Cell>(a, d, n / a.H, s, n % a.H, load(dm + n));
}

}  // namespace

template <class E>
void recurrent_begin(Stream stream, const RecurrentForward<E>& a) {
  if (a.schedule.B == 0) return;
  const dim3 grid(blocks_for(a.batch_rows * a.state_width, kThreads), unsigned(a.directions));
  check(CUDA_LAUNCH(begin_kernel<E>, grid, kThreads, 0, native(stream), a), "recurrent_begin");
}

template <class E>
void recurrent_backward_begin(Stream stream, const RecurrentBackward<E>& a) {
  if (a.schedule.B == 0) return;
  const dim3 grid(blocks_for(a.batch_rows * a.state_width, kThreads), unsigned(a.directions));
  check(CUDA_LAUNCH(backward_begin_kernel<E>, grid, kThreads, 0, native(stream), a), "recurrent_backward_begin");
}

template <class Cell, class E>
void recurrent_step(Stream stream, const RecurrentForward<E>& a, int d, int64_t s, int64_t active, const E* recurrent,
                    E* m) {
  const unsigned blocks = blocks_for(active * std::max(a.H, a.P), kThreads);
  check(CUDA_LAUNCH((step_kernel<Cell, E>), blocks, kThreads, 0, native(stream), a, d, s, active, recurrent, m),
        "recurrent_step");
}

template <class E>
void recurrent_projected(Stream stream, const RecurrentForward<E>& a, int d, int64_t s, int64_t active) {
  const unsigned blocks = blocks_for(active * a.P, kThreads);
  check(CUDA_LAUNCH(projected_kernel<E>, blocks, kThreads, 0, native(stream), a, d, s, active), "recurrent_projected");
}

template <class Cell, class E>
void recurrent_backward_state(Stream stream, const RecurrentBackward<E>& a, int d, int64_t s, int64_t active,
                              int64_t ahead, const E* recurrent, E* dh) {
  const unsigned blocks = blocks_for(active * a.P, kThreads);
  check(CUDA_LAUNCH((backward_state_kernel<Cell, E>), blocks, kThreads, 0, native(stream), a, d, s, active, ahead,
                    recurrent, dh),
        "recurrent_backward_state");
}

template <class Cell, class E>
void recurrent_backward_step(Stream stream, const RecurrentBackward<E>& a, int d, int64_t s, int64_t active,
                             const E* dm) {
  const unsigned blocks = blocks_for(active * a.H, kThreads);
  check(CUDA_LAUNCH((backward_step_kernel<Cell, E>), blocks, kThreads, 0, native(stream), a, d, s, active, dm),
        "recurrent_backward_step");
}

#define TEXTNN_INSTANTIATE(E)                                                  \
  template void recurrent_begin(Stream, const RecurrentForward<E>&);           \
  template void recurrent_backward_begin(Stream, const RecurrentBackward<E>&); \
  template void recurrent_projected(Stream, const RecurrentForward<E>&, int, int64_t, int64_t);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

#define TEXTNN_INSTANTIATE(Cell, E)                                                                                 \
  template void recurrent_step<Cell>(Stream, const RecurrentForward<E>&, int, int64_t, int64_t, const E*, E*);      \
  template void recurrent_backward_state<Cell>(Stream, const RecurrentBackward<E>&, int, int64_t, int64_t, int64_t, \
                                               const E*, E*);                                                       \
  template void recurrent_backward_step<Cell>(Stream, const RecurrentBackward<E>&, int, int64_t, int64_t, const E*);
TEXTNN_FOR_EACH_CELL_AND_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
