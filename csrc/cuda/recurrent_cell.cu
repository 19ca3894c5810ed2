// Bound by memory: of an LSTM 11 elements read or written for each unit forwards, 17 backwards, each once, in vectors
// of 16 bytes where H and the addresses allow. The sums are activated again in the backward pass: cheaper than to keep
// and load them.
#include "recurrent_cell.h"
#include "recurrent.h"
#include "scalar_math.h"
#include "storage.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256;

// The sums of N units of row b from unit j on, each from the products that add to it.
template <class Cell, int N, class Args, class C>
__device__ void load_sums(const Args& a, int64_t b, int64_t j, C (&sum)[Cell::kSums][N]) {
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kInput.size;
  const int64_t at = b * G * a.H + j;
#pragma unroll
  for (int s = 0; s < Cell::kSums; ++s)
#pragma unroll
    for (int i = 0; i < N; ++i) sum[s][i] = 0;
#pragma unroll
  for (int g = 0; g < G; ++g) load_some<N>(a.input_gates + at + Cell::input_block(g) * a.H, sum[kInput + g]);
  if (a.hidden_gates)
#pragma unroll
    for (int g = 0; g < G; ++g) {
      C more[N];
      load_some<N>(a.hidden_gates + at + Cell::state_block(g) * a.H, more);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[kState + g][i] += more[i];
    }
}

template <class Cell, int N, class E>
__global__ void __launch_bounds__(kThreads, 1) recurrent_cell_kernel(RecurrentCell<E> a) {
  using C = Compute<E>;
  for (int64_t n = first_element(); n < a.B * a.H / N; n += element_stride()) {
    const int64_t at = n * N;
    C sum[Cell::kSums][N], h[N] = {}, c[N] = {};
    load_sums<Cell, N>(a, at / a.H, at % a.H, sum);
    if constexpr (Cell::kReadsState) load_some<N>(a.h + at, h);
    if constexpr (Cell::kCell) load_some<N>(a.c + at, c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      C own[Cell::kSums], kept[Cell::kKept];
#pragma unroll
      for (int s = 0; s < Cell::kSums; ++s) own[s] = sum[s][i];
      h[i] = Cell::template forward<ScalarMath<C>>(own, h[i], c[i], kept);
    }
    store_some<N>(a.h_next + at, h);
    if constexpr (Cell::kCell) store_some<N>(a.c_next + at, c);
  }
}

template <class Cell, int N, class E>
__global__ void __launch_bounds__(kThreads, 1) recurrent_cell_backward_kernel(RecurrentCellBackward<E> a) {
  using C = Compute<E>;
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kInput.size;
  for (int64_t n = first_element(); n < a.B * a.H / N; n += element_stride()) {
    const int64_t at = n * N, gates = at / a.H * G * a.H + at % a.H;
    C sum[Cell::kSums][N], h[N] = {}, before[N] = {}, dh[N] = {}, carry[N] = {};
    load_sums<Cell, N>(a, at / a.H, at % a.H, sum);
    if constexpr (Cell::kReadsState) load_some<N>(a.h + at, h);
    if constexpr (Cell::kCell) load_some<N>(a.c + at, before);
    if (a.dh_next) load_some<N>(a.dh_next + at, dh);
    if (Cell::kCell && a.dc_next) load_some<N>(a.dc_next + at, carry);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      C own[Cell::kSums], kept[Cell::kKept], dsum[Cell::kSums], c = before[i];
#pragma unroll
      for (int s = 0; s < Cell::kSums; ++s) own[s] = sum[s][i];
      Cell::template forward<ScalarMath<C>>(own, h[i], c, kept);
      Cell::template backward<ScalarMath<C>>(kept, h[i], before[i], c, dh[i], carry[i], dsum);
#pragma unroll
      for (int s = 0; s < Cell::kSums; ++s) sum[s][i] = dsum[s];
    }
#pragma unroll
    for (int g = 0; g < G; ++g) store_some<N>(a.dinput_gates + gates + Cell::input_block(g) * a.H, sum[kInput + g]);
    if constexpr (!(Cell::kInput == Cell::kState))
#pragma unroll
      for (int g = 0; g < G; ++g) store_some<N>(a.dhidden_gates + gates + Cell::state_block(g) * a.H, sum[kState + g]);
    if constexpr (Cell::kReadsState) store_some<N>(a.dh + at, carry);
    if constexpr (Cell::kCell) store_some<N>(a.dc + at, carry);
  }
}

}  // namespace

template <class Cell, class E>
void recurrent_cell(Stream stream, const RecurrentCell<E>& a) {
  constexpr int N = Vector<E>::kSize;
  if (a.B * a.H == 0) return;
  if (vectors_fit(a.H, a.input_gates, a.hidden_gates, a.h, a.c, a.h_next, a.c_next))
    check(CUDA_LAUNCH((recurrent_cell_kernel<Cell, N, E>), blocks_for(a.B * a.H / N, kThreads), kThreads, 0,
                      native(stream), a),
          "recurrent_cell");
  else
    check(CUDA_LAUNCH((recurrent_cell_kernel<Cell, 1, E>), blocks_for(a.B * a.H, kThreads), kThreads, 0, native(stream),
                      a),
          "recurrent_cell");
}

template <class Cell, class E>
void recurrent_cell_backward(Stream stream, const RecurrentCellBackward<E>& a) {
  constexpr int N = Vector<E>::kSize;
  if (a.B * a.H == 0) return;
  if (vectors_fit(a.H, a.dh_next, a.dc_next, a.input_gates, a.hidden_gates, a.h, a.c, a.dinput_gates, a.dhidden_gates,
                  a.dh, a.dc))
    check(CUDA_LAUNCH((recurrent_cell_backward_kernel<Cell, N, E>), blocks_for(a.B * a.H / N, kThreads), kThreads, 0,
                      native(stream), a),
          "recurrent_cell_backward");
  else
    check(CUDA_LAUNCH((recurrent_cell_backward_kernel<Cell, 1, E>), blocks_for(a.B * a.H, kThreads), kThreads, 0,
                      native(stream), a),
          "recurrent_cell_backward");
}

#define TEXTNN_INSTANTIATE(Cell, E)                                    \
  template void recurrent_cell<Cell>(Stream, const RecurrentCell<E>&); \
  template void recurrent_cell_backward<Cell>(Stream, const RecurrentCellBackward<E>&);
TEXTNN_FOR_EACH_CELL_AND_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
