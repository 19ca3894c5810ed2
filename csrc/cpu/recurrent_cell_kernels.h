// One step of a cell for one instruction set (included through foreach_isa.h). The sums are activated again in the
// backward pass: cheaper than to keep and load them.
#include "simd.h"

namespace TEXTNN_ISA {

// The sums of n units of row b from unit j on, each from the products that add to it.
template <class Cell, class Args, class T>
[[gnu::always_inline]] inline void load_sums(const Args& a, int64_t b, int64_t j, int64_t n,
                                             Vec<T> (&sum)[Cell::kSums]) {
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kInput.size;
  const int64_t at = b * G * a.H + j;
  for (Vec<T>& s : sum) s = Vec<T>{};
  for (int i = 0; i < G; ++i) sum[kInput + i] = load(a.input_gates + at + Cell::input_block(i) * a.H, n);
  if (a.hidden_gates)
    for (int i = 0; i < G; ++i) sum[kState + i] += load(a.hidden_gates + at + Cell::state_block(i) * a.H, n);
}

template <class Cell, class T>
void recurrent_cell_row(const RecurrentCell<T>& a, int64_t b) {
  for (int64_t j = 0; j < a.H; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.H - j), at = b * a.H + j;
    Vec<T> sum[Cell::kSums], kept[Cell::kKept], h = {}, c = {};
    load_sums<Cell, RecurrentCell<T>, T>(a, b, j, n, sum);
    if constexpr (Cell::kReadsState) h = load(a.h + at, n);
    if constexpr (Cell::kCell) c = load(a.c + at, n);
    store(a.h_next + at, Cell::template forward<VectorMath<T>>(sum, h, c, kept), n);
    if constexpr (Cell::kCell) store(a.c_next + at, c, n);
  }
}

template <class Cell, class T>
void recurrent_cell_backward_row(const RecurrentCellBackward<T>& a, int64_t b) {
  constexpr int kInput = Cell::kInput.begin, kState = Cell::kState.begin, G = Cell::kInput.size;
  for (int64_t j = 0; j < a.H; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.H - j), at = b * a.H + j, gates = b * G * a.H + j;
    Vec<T> sum[Cell::kSums], kept[Cell::kKept], dsum[Cell::kSums], h = {}, before = {}, carry = {}, dh = {};
    load_sums<Cell, RecurrentCellBackward<T>, T>(a, b, j, n, sum);
    if constexpr (Cell::kReadsState) h = load(a.h + at, n);
    if constexpr (Cell::kCell) before = load(a.c + at, n);
    if (a.dh_next) dh = load(a.dh_next + at, n);
    if (Cell::kCell && a.dc_next) carry = load(a.dc_next + at, n);
    Vec<T> c = before;
    Cell::template forward<VectorMath<T>>(sum, h, c, kept);
    Cell::template backward<VectorMath<T>>(kept, h, before, c, dh, carry, dsum);
    for (int i = 0; i < G; ++i) store(a.dinput_gates + gates + Cell::input_block(i) * a.H, dsum[kInput + i], n);
    if constexpr (!(Cell::kInput == Cell::kState))
      for (int i = 0; i < G; ++i) store(a.dhidden_gates + gates + Cell::state_block(i) * a.H, dsum[kState + i], n);
    if constexpr (Cell::kReadsState) store(a.dh + at, carry, n);
    if constexpr (Cell::kCell) store(a.dc + at, carry, n);
  }
}

}  // namespace TEXTNN_ISA
