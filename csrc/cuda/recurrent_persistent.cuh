// The persistent form (Diamos et al. 2016): one cooperative launch for the whole sequence. A block (slice, group,
// direction) keeps 32 columns of its direction's W_hh in registers (recurrent_slice.cuh), and for every step multiplies
// them with the states of its group's sequences: tiles group, group + groups, ... of those that are active, so that
// groups stay equal as sequences end. States, or the gradients of sums, are exchanged through global memory in two
// buffers that take turns; grid.sync() after every step is what lets a block read what the others wrote. They are read
// by plain loads: the read-only path (__ldg, __restrict__) may return what it had before the barrier.
//
// Every block runs the same number of steps, the greatest length, which it reads from the device.
#pragma once
#include "recurrent_slice.cuh"
#include "recurrent_unit.cuh"

namespace textnn::cuda {

// Units of which a block has all columns forwards: 8 of an LSTM, 10 of a GRU, with two columns to spare, 32 of Elman's.
template <class Cell>
constexpr int slice_units() {
  return kSliceColumns / Cell::kState.size;
}

template <class Cell, class Slice, class E>
__device__ void persistent_forward(const RecurrentForward<E>& a, int rows_at_once) {
  using C = Compute<E>;
  constexpr int G = Cell::kState.size, kUnits = slice_units<Cell>();
  CUDA_DYNAMIC_SHARED(unsigned char, shared);
  const RecurrentForwardDirection<E>& d = a.direction[blockIdx.z];
  const int first = int(blockIdx.x) * kUnits;
  Slice slice;
  const int H = int(a.H);  // at most 1024: addresses of 32 bits leave registers for the weights
  slice.load_weights(shared, rows_at_once, [&](int column, int k) {
    const int unit = column / G, j = first + unit;
    return unit < kUnits && j < H && k < H ? load(d.w_hh + (Cell::state_block(column % G) * H + j) * H + k) : C(0);
  });
  const int T = int(a.schedule.length[0]);
  const int64_t state = a.batch_rows * a.state_width;
  for (int s = 0; s < T; ++s) {
    const E* h = d.h + s % 2 * state;
    E* next = d.h + (s + 1) % 2 * state;
    const int active = int(a.schedule.batch_size[s]);
    for (int begin = int(blockIdx.y) * rows_at_once; begin < active; begin += int(gridDim.y) * rows_at_once) {
      const int rows = min(rows_at_once, active - begin);
      slice.multiply(h + int64_t(begin) * a.state_width, rows);
#pragma unroll 1  // registers are for the weights
      for (int i = int(threadIdx.x); i < rows * kUnits; i += Slice::kThreads) {
        const int r = i / kUnits, unit = i % kUnits;
        const int b = begin + r, j = first + unit;
        if (j >= a.H) continue;
        C sum[G];
#pragma unroll
        for (int g = 0; g < G; ++g) sum[g] = slice.sum(r, unit * G + g);
        const E before = h[b * a.state_width + j];
        keep_state(a, d, b, s, j, before);
        E m;
        store(&m, forward_unit<Cell>(a, d, b, s, j, sum, load(&before)));
        next[b * a.state_width + j] = m;
        emit_state(a, d, b, s, j, m);
      }
      __syncthreads();
    }
    cooperative_groups::this_grid().sync();
  }
}

template <class Cell, class Slice, class E>
__device__ void persistent_backward(const RecurrentBackward<E>& a, int rows_at_once) {
  using C = Compute<E>;
  CUDA_DYNAMIC_SHARED(unsigned char, shared);
  const RecurrentBackwardDirection<E>& d = a.direction[blockIdx.z];
  const int first = int(blockIdx.x) * kSliceColumns;
  Slice slice;
  const int H = int(a.H);  // at most 1024: addresses of 32 bits leave registers for the weights
  slice.load_weights(shared, rows_at_once, [&](int column, int k) {
    const int j = first + column;
    return j < H && k < Cell::kState.size * H ? load(d.w_hh + k * H + j) : C(0);
  });
  const int T = int(a.schedule.length[0]);
  const int64_t state = a.batch_rows * a.state_width;
  // The step -1 gives the gradient of the initial state.
  for (int s = T - 1; s >= -1; --s) {
    const E* later = d.exchange + (s + 1) % 2 * state;
    const int ahead = s + 1 < T ? int(a.schedule.batch_size[s + 1]) : 0;
    const int active = s < 0 ? ahead : int(a.schedule.batch_size[s]);
    for (int begin = int(blockIdx.y) * rows_at_once; begin < active; begin += int(gridDim.y) * rows_at_once) {
      const int rows = min(rows_at_once, active - begin);
      if (begin < ahead) slice.multiply(later + int64_t(begin) * a.state_width, rows);
#pragma unroll 1  // registers are for the weights
      for (int i = int(threadIdx.x); i < rows * kSliceColumns; i += Slice::kThreads) {
        const int r = i / kSliceColumns, column = i % kSliceColumns;
        const int b = begin + r, j = first + column;
        if (j >= a.H) continue;
        const C sum = b < ahead ? later_gradient<Cell>(a, d, b, j, slice.sum(r, column)) : C(0);
        if (s < 0)
          store(d.dh0 + a.schedule.sequence[b] * a.H + j, sum);
        else
          backward_unit<Cell>(a, d, b, s, j, sum + state_gradient(a, d, b, s, j));
      }
      __syncthreads();
    }
    if (s >= 0) cooperative_groups::this_grid().sync();
  }
}

}  // namespace textnn::cuda
