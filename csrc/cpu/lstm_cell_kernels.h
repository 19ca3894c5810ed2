// The cell on its own, for one instruction set (included through foreach_isa.h). The gates are activated again in the
// backward pass: cheaper than to keep and load them.
#include "simd.h"

namespace TEXTNN_ISA {

template <class T>
inline math::LstmGates<Vec<T>> lstm_cell_gates(const T* gates, int64_t H, int64_t j, int64_t n) {
  const math::LstmGates<Vec<T>> pre{load(gates + j, n), load(gates + H + j, n), load(gates + 2 * H + j, n),
                                    load(gates + 3 * H + j, n)};
  return math::lstm_activate<VectorMath<T>>(pre);
}

template <class T>
void lstm_cell_row(const LstmCell<T>& a, int64_t b) {
  for (int64_t j = 0; j < a.H; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.H - j);
    const auto gate = lstm_cell_gates(a.gates + b * 4 * a.H, a.H, j, n);
    const auto state = math::lstm_update<VectorMath<T>>(gate, load(a.c + b * a.H + j, n));
    store(a.h + b * a.H + j, state.m, n);
    store(a.c_next + b * a.H + j, state.c, n);
  }
}

template <class T>
void lstm_cell_backward_row(const LstmCellBackward<T>& a, int64_t b) {
  for (int64_t j = 0; j < a.H; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.H - j), at = b * a.H + j;
    const auto gate = lstm_cell_gates(a.gates + b * 4 * a.H, a.H, j, n);
    const Vec<T> c = load(a.c + at, n), c_next = gate.f * c + gate.i * gate.g;
    Vec<T> dc = load(a.dc_next + at, n);
    const auto d = math::lstm_backward<VectorMath<T>>(gate, c, c_next, load(a.dh + at, n), dc);
    store(a.dc + at, dc, n);
    T* out = a.dgates + b * 4 * a.H + j;
    store(out, d.i, n);
    store(out + a.H, d.f, n);
    store(out + 2 * a.H, d.g, n);
    store(out + 3 * a.H, d.o, n);
  }
}

}  // namespace TEXTNN_ISA
