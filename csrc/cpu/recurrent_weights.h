// The weights of a cell as the forward pass reads them, for one instruction set (included through foreach_isa.h).
//
//            panel p of the weights: K = I + P rows, each with the sums of some hidden units; of the LSTM
//                     |i i i i|f f f f|g g g g|o o o o|
//
// Rows of the panel that x multiplies have the sums of the input's window (math/cell.h), rows that h multiplies those
// of the state's. A panel is as wide as the registers allow: one vector of units with four sums each, or four vectors
// of units with one.

namespace TEXTNN_ISA {

template <class Cell, class Product>
class RecurrentWeights {
  using T = typename Product::T;
  using Value = typename Product::Value;
  static constexpr int64_t L = kLanes<T>;
  static constexpr math::Window kIn = Cell::kInput, kState = Cell::kState;

 public:
  static constexpr int S = Cell::kSums, kWidest = kMaxVectors / S;  // sums of a unit, vectors of units of a panel

  explicit RecurrentWeights(const RecurrentForward<T>& a) : a_(a) {}

  // Values that a step reads, of so many units.
  int64_t size(int64_t units) const { return (depth(a_.I) * kIn.size + depth(a_.P) * kState.size) * units; }

  // Room for so many vectors of units and of the projection.
  size_t bytes(int64_t units, int64_t projected) const {
    return Workspace::bytes<Value>(size(units * L)) + Workspace::bytes<T>(S * units * L) +
           Workspace::bytes<Value>(projected * depth(a_.H) * L);
  }
  void take(Workspace& workspace, int64_t units, int64_t projected) {
    weights_ = workspace.take<Value>(size(units * L));
    bias_ = workspace.take<T>(S * units * L);
    w_hr_ = workspace.take<Value>(projected * depth(a_.H) * L);
  }

  // What belongs to the panel that begins with a vector of units: of the weights, [depth of I][input's window][N][L]
  // and [depth of P][state's window][N][L]; of the biases, [sums][N][L].
  Value* input(int64_t vector) const { return weights_ + size(vector * L); }
  template <int N>
  Value* state(int64_t vector) const {
    return input(vector) + depth(a_.I) * kIn.size * N * L;
  }
  T* bias(int64_t vector) const { return bias_ + vector * S * L; }
  // The panel of the projection that begins with a vector of outputs: [depth of H][N][L].
  Value* projection(int64_t vector) const { return w_hr_ + vector * depth(a_.H) * L; }

  template <int N>
  void pack(int64_t vector) {
    const int64_t first = vector * L, used = std::min(N * L, a_.H - first);
    Value *of_input = input(vector), *of_state = state<N>(vector);
    T* sums = bias(vector);
    if (used < N * L) std::fill(of_input, of_state + depth(a_.P) * kState.size * N * L, Value(0));
    std::fill(sums, sums + S * N * L, T(0));
    const auto add = [&](const T* from, int sum) {
      for (int64_t v = 0; from && v < used; ++v) sums[sum * N * L + v] += from[v];
    };
    for (int i = 0; i < kIn.size; ++i) {
      const int64_t row = Cell::input_block(i) * a_.H + first;
      Product::transpose_rows(a_.w_ih + row * a_.I, a_.I, of_input + i * N * L, kIn.size * N * L, used);
      add(a_.b_ih ? a_.b_ih + row : nullptr, kIn.begin + i);
    }
    for (int i = 0; i < kState.size; ++i) {
      const int64_t row = Cell::state_block(i) * a_.H + first;
      Product::transpose_rows(a_.w_hh + row * a_.P, a_.P, of_state + i * N * L, kState.size * N * L, used);
      add(a_.b_hh ? a_.b_hh + row : nullptr, kState.begin + i);
    }
    Product::settle(of_input, kIn.size * N, depth(a_.I));
    Product::settle(of_state, kState.size * N, depth(a_.P));
  }

  void pack_projection(const Panels& panels, int64_t p) {
    const int64_t first = panels.begin(p), n = panels.begin(p + 1) - first;
    Value* to = projection(first);
    std::fill(to, to + n * depth(a_.H) * L, Value(0));
    Product::transpose_rows(a_.w_hr + first * L * a_.H, a_.H, to, n * L, std::min(n * L, a_.P - first * L));
    Product::settle(to, n, depth(a_.H));
  }

 private:
  static constexpr int64_t depth(int64_t K) { return Product::depth(K); }

  const RecurrentForward<T>& a_;
  Value* weights_;  // panel by panel: [depth of I, input's window, N, L], [depth of P, state's window, N, L]
  T* bias_;         // panel by panel: [sums, N, L]
  Value* w_hr_;     // [panels of the projection, depth of H, N, L]
};

}  // namespace TEXTNN_ISA
