// Bound by memory: 7 elements read or written for each unit forwards, 13 backwards, each once, in vectors of 16 bytes
// where H and the addresses allow. The gates are activated again in the backward pass: cheaper than to keep and load
// them.
#include "lstm_cell.h"
#include "../math/lstm.h"
#include "scalar_math.h"
#include "storage.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256;

// The activated gates of N units from unit j of row b on.
template <int N, class E>
__device__ void activated_gates(const E* gates, int64_t H, int64_t b, int64_t j,
                                math::LstmGates<Compute<E>> (&gate)[N]) {
  using C = Compute<E>;
  C pre[4][N];
#pragma unroll
  for (int g = 0; g < 4; ++g) load_some<N>(gates + (b * 4 + g) * H + j, pre[g]);
#pragma unroll
  for (int i = 0; i < N; ++i)
    gate[i] = math::lstm_activate<ScalarMath<C>>(math::LstmGates<C>{pre[0][i], pre[1][i], pre[2][i], pre[3][i]});
}

template <int N, class E>
__global__ void __launch_bounds__(kThreads, 1) lstm_cell_kernel(LstmCell<E> a) {
  using C = Compute<E>;
  for (int64_t n = first_element(); n < a.B * a.H / N; n += element_stride()) {
    const int64_t at = n * N, b = at / a.H, j = at % a.H;
    math::LstmGates<C> gate[N];
    activated_gates<N>(a.gates, a.H, b, j, gate);
    C c[N], h[N];
    load_some<N>(a.c + at, c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const auto state = math::lstm_update<ScalarMath<C>>(gate[i], c[i]);
      h[i] = state.m;
      c[i] = state.c;
    }
    store_some<N>(a.h + at, h);
    store_some<N>(a.c_next + at, c);
  }
}

template <int N, class E>
__global__ void __launch_bounds__(kThreads, 1) lstm_cell_backward_kernel(LstmCellBackward<E> a) {
  using C = Compute<E>;
  for (int64_t n = first_element(); n < a.B * a.H / N; n += element_stride()) {
    const int64_t at = n * N, b = at / a.H, j = at % a.H;
    math::LstmGates<C> gate[N];
    activated_gates<N>(a.gates, a.H, b, j, gate);
    C c[N], dh[N], dc[N], d[4][N];
    load_some<N>(a.c + at, c);
    load_some<N>(a.dh + at, dh);
    load_some<N>(a.dc_next + at, dc);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const C c_next = gate[i].f * c[i] + gate[i].i * gate[i].g;
      const auto g = math::lstm_backward<ScalarMath<C>>(gate[i], c[i], c_next, dh[i], dc[i]);
      d[0][i] = g.i;
      d[1][i] = g.f;
      d[2][i] = g.g;
      d[3][i] = g.o;
    }
#pragma unroll
    for (int g = 0; g < 4; ++g) store_some<N>(a.dgates + (b * 4 + g) * a.H + j, d[g]);
    store_some<N>(a.dc + at, dc);
  }
}

}  // namespace

template <class E>
void lstm_cell(Stream stream, const LstmCell<E>& a) {
  constexpr int N = Vector<E>::kSize;
  if (a.B * a.H == 0) return;
  if (vectors_fit(a.H, a.gates, a.c, a.h, a.c_next))
    check(CUDA_LAUNCH((lstm_cell_kernel<N, E>), blocks_for(a.B * a.H / N, kThreads), kThreads, 0, native(stream), a),
          "lstm_cell");
  else
    check(CUDA_LAUNCH((lstm_cell_kernel<1, E>), blocks_for(a.B * a.H, kThreads), kThreads, 0, native(stream), a),
          "lstm_cell");
}

template <class E>
void lstm_cell_backward(Stream stream, const LstmCellBackward<E>& a) {
  constexpr int N = Vector<E>::kSize;
  if (a.B * a.H == 0) return;
  if (vectors_fit(a.H, a.dh, a.dc_next, a.gates, a.c, a.dgates, a.dc))
    check(CUDA_LAUNCH((lstm_cell_backward_kernel<N, E>), blocks_for(a.B * a.H / N, kThreads), kThreads, 0,
                      native(stream), a),
          "lstm_cell_backward");
  else
    check(
        CUDA_LAUNCH((lstm_cell_backward_kernel<1, E>), blocks_for(a.B * a.H, kThreads), kThreads, 0, native(stream), a),
        "lstm_cell_backward");
}

#define TEXTNN_INSTANTIATE(E)                          \
  template void lstm_cell(Stream, const LstmCell<E>&); \
  template void lstm_cell_backward(Stream, const LstmCellBackward<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
