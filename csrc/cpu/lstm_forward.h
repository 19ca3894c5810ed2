// The forward pass, for one instruction set (included through foreach_isa.h).
//
//            panel p of the weights: K = I + P rows, each with the four gates of one vector of hidden units
//                     |i i i i|f f f f|g g g g|o o o o|
//   x_t rows  ------>  multiply   ------>   acc[R][4]   ------>   gates, c, h of R sequences x one vector of units
//   h_t-1 rows ----->                       (registers)           written at once
//
// The weights are packed once a call. The members of the team share out the hidden units, so that each keeps its part
// of the weights in its own cache for the whole sequence and a light barrier separates the steps; or, where all weights
// fit a core's cache and there are enough sequences, they share out the sequences and never wait.

namespace TEXTNN_ISA {

template <class T>
class LstmForwardKernel {
  static constexpr int64_t L = kLanes<T>;
  using V = Vec<T>;
  using Gates = math::LstmGates<V>;

 public:
  explicit LstmForwardKernel(const LstmForward<T>& a)
      : a_(a), s_(a.schedule), training_(a.h_prev != nullptr), panels_((a.H + L - 1) / L) {}

  void run(const ThreadPool& pool) {
    const int threads = int(std::min<int64_t>(pool.threads, work() / kRecurrentWorkPerThread + 1));
    const bool share_rows = threads > 1 && weight_bytes() <= kRecurrentCacheBytes && s_.B >= 2 * kMaxRows * threads;
    const Panels projection(a_.w_hr ? a_.P : 0, L, threads);
    const int64_t K = a_.I + a_.P, state = training_ ? 0 : s_.B * a_.H;
    const int64_t m_size = a_.w_hr && !training_ ? s_.B * a_.H : 0, h_size = training_ ? 0 : 2 * s_.B * a_.P;
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(panels_ * K * 4 * L) + bytes(panels_ * 4 * L) + bytes(projection.vectors * a_.H * L) +
                        bytes(state) + bytes(m_size) + bytes(h_size));
    weights_ = workspace.take<T>(panels_ * K * 4 * L);
    bias_ = workspace.take<T>(panels_ * 4 * L);
    w_hr_ = workspace.take<T>(projection.vectors * a_.H * L);
    c_ = workspace.take<T>(state);
    m_ = workspace.take<T>(m_size);
    h_ = workspace.take<T>(h_size);

    Team::run(pool, threads, [&](Team& team, int member, int size) {
      const Share mine(panels_, member, size), projected(projection.count, member, size);
      for (int64_t p = mine.begin; p < mine.end; ++p) pack(p);
      for (int64_t p = projected.begin; p < projected.end; ++p) pack_projection(projection, p);
      start(member, size);
      team.barrier();
      if (share_rows && size > 1) {
        const Rows rows{member, size};
        for (int64_t s = 0; s < s_.T; ++s) {
          step(s, rows, 0, panels_);
          if (a_.w_hr) project(s, rows, projection, 0, projection.count);
        }
      } else {
        const Rows rows{0, 1};
        for (int64_t s = 0; s < s_.T; ++s) {
          step(s, rows, mine.begin, mine.end);
          team.barrier();
          if (a_.w_hr) {
            project(s, rows, projection, projected.begin, projected.end);
            team.barrier();
          }
        }
      }
    });
  }

 private:
  double work() const { return double(s_.N) * (a_.I + a_.P) * 4 * a_.H; }
  int64_t weight_bytes() const { return (a_.I + a_.P) * 4 * a_.H * int64_t(sizeof(T)); }

  const T* h_before(int64_t b, int64_t s) const {
    return training_ ? a_.h_prev + s_.row(b, s) * a_.P : h_ + ((s & 1) * s_.B + b) * a_.P;
  }
  // Where the state after step s goes: the row of the next step, if there is one.
  T* h_after(int64_t b, int64_t s) const {
    if (s + 1 == s_.length[b]) return nullptr;
    return training_ ? a_.h_prev + s_.row(b, s + 1) * a_.P : h_ + (((s + 1) & 1) * s_.B + b) * a_.P;
  }
  const T* c_before(int64_t b, int64_t s) const {
    if (s == 0) return a_.c0 + s_.sequence[b] * a_.H;
    return training_ ? a_.cells + s_.row(b, s - 1) * a_.H : c_ + b * a_.H;
  }
  T* c_after(int64_t b, int64_t s) const { return training_ ? a_.cells + s_.row(b, s) * a_.H : c_ + b * a_.H; }
  T* unprojected(int64_t b, int64_t s) const {
    return training_ ? a_.unprojected + s_.row(b, s) * a_.H : m_ + b * a_.H;
  }
  T* y(int64_t b, int64_t s) const {
    return a_.y + a_.y_layout.sequence_offset[b] + a_.y_layout.step_offset[s_.time(b, s)];
  }

  // Panel p of W_ih and W_hh, [I + P][4][L], and the sum of the biases.
  void pack(int64_t p) {
    const int64_t K = a_.I + a_.P, width = 4 * L, used = std::min(L, a_.H - p * L);
    T* panel = weights_ + p * K * width;
    T* bias = bias_ + p * width;
    if (used < L) std::fill(panel, panel + K * width, T(0));
    std::fill(bias, bias + width, T(0));
    for (int64_t g = 0; g < 4; ++g) {
      const int64_t row = g * a_.H + p * L;
      transpose(a_.w_ih + row * a_.I, a_.I, panel + g * L, width, used, a_.I);
      transpose(a_.w_hh + row * a_.P, a_.P, panel + a_.I * width + g * L, width, used, a_.P);
      for (int64_t v = 0; v < used; ++v)
        bias[g * L + v] = (a_.b_ih ? a_.b_ih[row + v] : T(0)) + (a_.b_hh ? a_.b_hh[row + v] : T(0));
    }
  }

  void pack_projection(const Panels& panels, int64_t p) {
    const int64_t first = panels.begin(p), n = panels.begin(p + 1) - first;
    pack_panel_transposed(w_hr_ + first * a_.H * L, a_.w_hr, a_.H, first * L, a_.P, n);
  }

  // The initial states, to where the first step reads them; sequences without a step end as they began.
  void start(int member, int size) {
    for (int64_t b = member; b < s_.B; b += size) {
      const T* h0 = a_.h0 + s_.sequence[b] * a_.P;
      if (s_.length[b] > 0) {
        std::memcpy(const_cast<T*>(h_before(b, 0)), h0, a_.P * sizeof(T));
      } else {
        std::memcpy(a_.h_n + s_.sequence[b] * a_.P, h0, a_.P * sizeof(T));
        std::memcpy(a_.c_n + s_.sequence[b] * a_.H, a_.c0 + s_.sequence[b] * a_.H, a_.H * sizeof(T));
      }
    }
  }

  void step(int64_t s, const Rows& rows, int64_t panel_begin, int64_t panel_end) {
    const int64_t count = rows.count(s_.batch_size[s]);
    for (int64_t p = panel_begin; p < panel_end; ++p)
      for_row_tiles(0, count, [&](auto R, int64_t first) { tile<R>(s, rows, first, p); });
  }

  template <int R>
  void tile(int64_t s, const Rows& rows, int64_t first, int64_t p) {
    const T *x[R], *h[R];
    for (int r = 0; r < R; ++r) {
      const int64_t b = rows[first + r];
      x[r] = a_.x + a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[s_.time(b, s)];
      h[r] = h_before(b, s);
    }
    const T* panel = weights_ + p * (a_.I + a_.P) * 4 * L;
    Tile<T, R, 4> tile;
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < 4; ++g) tile.acc[r][g] = load(bias_ + (p * 4 + g) * L);
    tile.multiply_add(x, panel, a_.I);
    tile.multiply_add(h, panel + a_.I * 4 * L, a_.P);
    for (int r = 0; r < R; ++r) finish(rows[first + r], s, p * L, tile.acc[r]);
  }

  // From the pre-activations of one sequence and vector of units (from unit j on) to everything that is stored.
  void finish(int64_t b, int64_t s, int64_t j, const V (&acc)[4]) {
    const int64_t n = std::min(L, a_.H - j);
    const Gates gate = math::lstm_activate<VectorMath<T>>(Gates{acc[0], acc[1], acc[2], acc[3]});
    const auto state = math::lstm_update<VectorMath<T>>(gate, load(c_before(b, s) + j, n));
    store(c_after(b, s) + j, state.c, n);
    if (training_) {
      T* kept = a_.gates + s_.row(b, s) * 4 * a_.H + j;
      store(kept, gate.i, n);
      store(kept + a_.H, gate.f, n);
      store(kept + 2 * a_.H, gate.g, n);
      store(kept + 3 * a_.H, gate.o, n);
    }
    if (s + 1 == s_.length[b]) store(a_.c_n + s_.sequence[b] * a_.H + j, state.c, n);
    if (a_.w_hr)
      store(unprojected(b, s) + j, state.m, n);
    else
      emit(b, s, j, state.m, n);
  }

  // Units j.. of the output state go to the output, to the next step and, at the end of a sequence, to its final state.
  void emit(int64_t b, int64_t s, int64_t j, const V& h, int64_t n) {
    store(y(b, s) + j, h, n);
    T* next = h_after(b, s);
    store((next ? next : a_.h_n + s_.sequence[b] * a_.P) + j, h, n);
  }

  void project(int64_t s, const Rows& rows, const Panels& panels, int64_t begin, int64_t end) {
    const int64_t count = rows.count(s_.batch_size[s]);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t vector = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - vector), [&](auto N) {
        for_row_tiles(0, count, [&](auto R, int64_t first) {
          const T* m[R];
          for (int r = 0; r < R; ++r) m[r] = unprojected(rows[first + r], s);
          Tile<T, R, N> tile;
          tile.clear();
          tile.multiply_add(m, w_hr_ + vector * a_.H * L, a_.H);
          for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) {
              const int64_t j = (vector + n) * L;
              emit(rows[first + r], s, j, tile.acc[r][n], std::min(L, a_.P - j));
            }
        });
      });
    }
  }

  const LstmForward<T>& a_;
  const Schedule& s_;
  const bool training_;
  const int64_t panels_;
  T* weights_;  // [panels, I + P, 4, L]
  T* bias_;     // [panels, 4, L]
  T* w_hr_;     // [panels of the projection, H, N, L]
  T* c_;        // [B, H] in inference
  T* m_;        // [B, H] in inference with a projection
  T* h_;        // [2, B, P] in inference: the state before the step, and after it
};

template <class T>
void lstm_forward(const ThreadPool& pool, const LstmForward<T>& args) {
  LstmForwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
