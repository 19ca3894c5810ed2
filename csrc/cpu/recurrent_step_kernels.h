// One step of a stack of layers for one instruction set (included through foreach_isa.h).
//
//   for each layer      members of the team share out vectors of units: for each, the sums of all sequences from the
//                       rows of both weights, then the cell; a barrier, as the next layer reads the whole state
//   with a projection   the same once more for the columns of the output state
#include "simd.h"
#include "tile.h"
#include "dots.h"

namespace TEXTNN_ISA {

template <class Cell, class T>
class RecurrentStepKernel {
  static constexpr int64_t L = kLanes<T>;
  static constexpr int S = Cell::kSums;
  static constexpr math::Window kIn = Cell::kInput, kState = Cell::kState;
  using V = Vec<T>;

 public:
  RecurrentStepKernel(const RecurrentStep<T>& a, T* m) : a_(a), m_(m) {}

  void run(Team& team, int member, int size) const {
    const Share units((a_.H + L - 1) / L, member, size), columns((a_.P + L - 1) / L, member, size);
    for (int64_t l = 0; l < a_.L; ++l) {
      for (int64_t v = units.begin; v < units.end; ++v)
        for_dot_rows(a_.B, [&](auto R, int64_t b) { step<R>(l, b, v * L); });
      team.barrier();
      if (!a_.layers[l].w_hr) continue;
      for (int64_t v = columns.begin; v < columns.end; ++v)
        for_dot_rows(a_.B, [&](auto R, int64_t b) { project<R>(l, b, v * L); });
      team.barrier();
    }
  }

 private:
  static V load_if(const T* p, int64_t n) { return p ? load(p, n) : V{}; }

  // Units j.. of layer l, of R sequences.
  template <int R>
  [[gnu::noinline, gnu::flatten]] void step(int64_t l, int64_t b, int64_t j) const {
    const StepLayer<T>& w = a_.layers[l];
    const int64_t H = a_.H, P = a_.P, n = std::min(L, H - j), row = l * a_.B + b;
    const T *x[R], *h[R];
    for (int r = 0; r < R; ++r) {
      x[r] = l ? a_.h_next + (row - a_.B + r) * P : a_.x[b + r];
      h[r] = a_.h + (row + r) * P;
    }
    V sums[S][R];
    for (int s = 0; s < S; ++s) {
      const bool of_input = s >= kIn.begin && s < kIn.begin + kIn.size;
      const bool of_state = s >= kState.begin && s < kState.begin + kState.size;
      const int64_t i = Cell::input_block(s - kIn.begin) * H + j, k = Cell::state_block(s - kState.begin) * H + j;
      V bias{};
      if (of_input) bias += load_if(w.b_ih ? w.b_ih + i : nullptr, n);
      if (of_state) bias += load_if(w.b_hh ? w.b_hh + k : nullptr, n);
      for (int r = 0; r < R; ++r) sums[s][r] = bias;
      if (of_input && of_state) {
        const DotFactor<T> both[] = {{x, w.w_ih + i * w.I, w.I}, {h, w.w_hh + k * P, P}};
        add_dots<T, R>(sums[s], both, n);
      } else {
        const DotFactor<T> one[] = {of_input ? DotFactor<T>{x, w.w_ih + i * w.I, w.I}
                                             : DotFactor<T>{h, w.w_hh + k * P, P}};
        add_dots<T, R>(sums[s], one, n);
      }
    }
    for (int r = 0; r < R; ++r) {
      const int64_t at = (row + r) * H + j;
      V sum[S], kept[Cell::kKept], h_prev{}, c{};
      for (int s = 0; s < S; ++s) sum[s] = sums[s][r];
      if constexpr (Cell::kReadsState) h_prev = load(h[r] + j, n);
      if constexpr (Cell::kCell) c = load(a_.c + at, n);
      const V next = Cell::template forward<VectorMath<T>>(sum, h_prev, c, kept);
      if constexpr (Cell::kCell) store(a_.c_next + at, c, n);
      if (w.w_hr)
        store(m_ + (b + r) * H + j, next, n);
      else
        emit(l, b + r, j, next, n);
    }
  }

  // Columns j.. of the output state of layer l.
  template <int R>
  [[gnu::noinline]] void project(int64_t l, int64_t b, int64_t j) const {
    const int64_t n = std::min(L, a_.P - j);
    const T* m[R];
    for (int r = 0; r < R; ++r) m[r] = m_ + (b + r) * a_.H;
    V sum[R] = {};
    const DotFactor<T> one[] = {{m, a_.layers[l].w_hr + j * a_.H, a_.H}};
    add_dots<T, R>(sum, one, n);
    for (int r = 0; r < R; ++r) emit(l, b + r, j, sum[r], n);
  }

  void emit(int64_t l, int64_t b, int64_t j, const V& h, int64_t n) const {
    store(a_.h_next + (l * a_.B + b) * a_.P + j, h, n);
    if (l + 1 == a_.L) store(a_.y + b * a_.P + j, h, n);
  }

  const RecurrentStep<T>& a_;
  T* m_;  // [B, H] the state before its projection
};

template <class Cell, class T>
void recurrent_step_member(const RecurrentStep<T>& args, T* m, Team& team, int member, int size) {
  RecurrentStepKernel<Cell, T>(args, m).run(team, member, size);
}

}  // namespace TEXTNN_ISA
