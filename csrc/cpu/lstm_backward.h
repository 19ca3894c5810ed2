// The backward pass, for one instruction set (included through foreach_isa.h).
//
// Through time, from the last step to the first; the gradient of the input comes along, while dgates is in the cache:
//
//   dgates_{t+1} [b, 4H]  x  W_ih [4H, I]   ->  dx_{t+1}
//   dgates_{t+1} [b, 4H]  x  W_hh [4H, P]   ->  + dy_t, + dh_n at a sequence's end  =  dh_t      (a tile in registers)
//   dh_t  (x W_hr [P, H])                   ->  the cell's gradients                =  dgates_t, dc_t
//
// As in the forward pass the members of a team share out the columns, or, where the weights fit a core's cache, the
// sequences. The gradients of the weights are large products over all steps afterwards (weight_gradient.h).

namespace TEXTNN_ISA {

template <class T>
class LstmBackwardKernel {
  static constexpr int64_t L = kLanes<T>;
  using V = Vec<T>;
  using Gates = math::LstmGates<V>;

 public:
  explicit LstmBackwardKernel(const LstmBackward<T>& a) : a_(a), s_(a.schedule) {}

  void run(const ThreadPool& pool) {
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(s_.N * 4 * a_.H) + bytes(a_.w_hr ? s_.N * a_.P : 0));
    dgates_ = workspace.take<T>(s_.N * 4 * a_.H);
    dh_ = workspace.take<T>(a_.w_hr ? s_.N * a_.P : 0);
    through_time(pool);
    weights(pool);
  }

 private:
  void through_time(const ThreadPool& pool) {
    const int64_t I = a_.dx ? a_.I : 0, weight_bytes = (a_.P + I) * 4 * a_.H * int64_t(sizeof(T));
    const double work = double(s_.N) * (a_.P + I) * 4 * a_.H;
    const int threads = int(std::min<int64_t>(pool.threads, work / kRecurrentWorkPerThread + 1));
    const bool share_rows = threads > 1 && weight_bytes <= kRecurrentCacheBytes && s_.B >= 2 * kMaxRows * threads;
    const Panels state(a_.P, L, threads), input(I, L, threads), hidden(a_.w_hr ? a_.H : 0, L, threads);
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(state.vectors * 4 * a_.H * L) + bytes(input.vectors * 4 * a_.H * L) +
                        bytes(hidden.vectors * a_.P * L));
    w_hh_ = workspace.take<T>(state.vectors * 4 * a_.H * L);
    w_ih_ = workspace.take<T>(input.vectors * 4 * a_.H * L);
    w_hr_ = workspace.take<T>(hidden.vectors * a_.P * L);

    Team::run(pool, threads, [&](Team& team, int member, int size) {
      const Share states(state.count, member, size), inputs(input.count, member, size),
          cells(hidden.count, member, size);
      pack(w_hh_, a_.w_hh, 4 * a_.H, a_.P, state, states);
      pack(w_ih_, a_.w_ih, 4 * a_.H, I, input, inputs);
      pack(w_hr_, a_.w_hr, a_.P, a_.H, hidden, cells);
      for (int64_t b = member; b < s_.B; b += size) start(b);
      team.barrier();
      if (share_rows && size > 1) {
        const Rows rows{member, size};
        const Share all_states(state.count, 0, 1), all_inputs(input.count, 0, 1), all_cells(hidden.count, 0, 1);
        for (int64_t s = s_.T - 1; s >= -1; --s) {
          step(s, rows, state, all_states, input, all_inputs);
          if (a_.w_hr && s >= 0) unproject(s, rows, hidden, all_cells);
        }
        return;
      }
      const Rows rows{0, 1};
      for (int64_t s = s_.T - 1; s >= -1; --s) {
        step(s, rows, state, states, input, inputs);
        team.barrier();
        if (!a_.w_hr || s < 0) continue;
        unproject(s, rows, hidden, cells);
        team.barrier();
      }
    });
  }

  void weights(const ThreadPool& pool) const {
    const int64_t H = a_.H, P = a_.P;
    Workspace workspace(Workspace::bytes<const T*>(s_.N));
    const T** x = workspace.take<const T*>(s_.N);
    for (int64_t t = 0; t < s_.T; ++t)
      for (int64_t b = 0; b < s_.batch_size[t]; ++b)
        x[s_.first_row[t] + b] = a_.x + a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[t];
    WeightGradient<T>(pool, s_.N, 4 * H, dgates_)
        .run([&](int64_t n) { return x[n]; }, a_.I, a_.dw_ih, [&](int64_t n) { return a_.h_prev + n * P; }, P, a_.dw_hh,
             a_.db);
    if (!a_.w_hr) return;
    const auto m = [&](int64_t n) { return a_.unprojected + n * H; };
    WeightGradient<T>(pool, s_.N, P, dh_).run(m, H, a_.dw_hr, m, 0, nullptr, nullptr);
  }

  // The panels of one member of a matrix [K, columns].
  static void pack(T* to, const T* from, int64_t K, int64_t columns, const Panels& panels, const Share& mine) {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t first = panels.begin(p), n = panels.begin(p + 1) - first;
      pack_panel(to + first * K * L, from, K, first * L, columns, n);
    }
  }

  // dc0 doubles as the running gradient of the cell state; sequences without a step pass their gradients on.
  void start(int64_t b) {
    const int64_t q = s_.sequence[b];
    copy_or_clear(a_.dc0 + q * a_.H, a_.dc_n ? a_.dc_n + q * a_.H : nullptr, a_.H);
    if (s_.length[b] == 0) copy_or_clear(a_.dh0 + q * a_.P, a_.dh_n ? a_.dh_n + q * a_.P : nullptr, a_.P);
  }
  static void copy_or_clear(T* to, const T* from, int64_t n) {
    if (from)
      std::memcpy(to, from, n * sizeof(T));
    else
      std::memset(to, 0, n * sizeof(T));
  }

  // dh_s for all sequences that are active at step s, and dx_{s+1}, both from dgates_{s+1}; s = -1 gives dh0.
  void step(int64_t s, const Rows& rows, const Panels& state, const Share& states, const Panels& input,
            const Share& inputs) {
    const int64_t running = s + 1 < s_.T ? rows.count(s_.batch_size[s + 1]) : 0;  // those that take step s + 1 too
    const int64_t count = s >= 0 ? rows.count(s_.batch_size[s]) : running;
    for (int64_t p = states.begin; p < states.end; ++p) {
      product(s, rows, running, w_hh_, state, p, [&](int64_t b, int64_t j, const V& dh) { accept(b, s, j, dh); });
      for (int64_t i = running; i < count; ++i)
        for (int64_t v = state.begin(p); v < state.begin(p + 1); ++v) accept(rows[i], s, v * L, V{});
    }
    for (int64_t p = inputs.begin; p < inputs.end; ++p)
      product(s, rows, running, w_ih_, input, p, [&](int64_t b, int64_t j, const V& dx) {
        T* to = a_.dx + a_.dx_layout.sequence_offset[b] + a_.dx_layout.step_offset[s_.time(b, s + 1)];
        store(to + j, dx, a_.I - j);
      });
  }

  // finish(b, j, columns j.. of dgates_{s+1} x weights) for the first `running` sequences and panel p of the weights.
  template <class Finish>
  void product(int64_t s, const Rows& rows, int64_t running, const T* weights, const Panels& panels, int64_t p,
               Finish&& finish) {
    const int64_t begin = panels.begin(p);
    with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
      for_row_tiles(0, running, [&](auto R, int64_t first) {
        const T* dgates[R];
        for (int r = 0; r < R; ++r) dgates[r] = dgates_ + s_.row(rows[first + r], s + 1) * 4 * a_.H;
        Tile<T, R, N> tile;
        tile.clear();
        tile.multiply_add(dgates, weights + begin * 4 * a_.H * L, 4 * a_.H);
        for (int r = 0; r < R; ++r)
          for (int n = 0; n < N; ++n) finish(rows[first + r], (begin + n) * L, tile.acc[r][n]);
      });
    });
  }

  // Units j.. of the gradient of the output state after step s, as far as it comes from step s + 1.
  void accept(int64_t b, int64_t s, int64_t j, V dh) {
    const int64_t n = std::min(L, a_.P - j), q = s_.sequence[b];
    if (s < 0) return store(a_.dh0 + q * a_.P + j, dh, n);
    if (a_.dy) dh += load(a_.dy + a_.dy_layout.sequence_offset[b] + a_.dy_layout.step_offset[s_.time(b, s)] + j, n);
    if (a_.dh_n && s + 1 == s_.length[b]) dh += load(a_.dh_n + q * a_.P + j, n);
    if (a_.w_hr)
      store(dh_ + s_.row(b, s) * a_.P + j, dh, n);
    else
      cell(b, s, j, dh);
  }

  void unproject(int64_t s, const Rows& rows, const Panels& panels, const Share& mine) {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t begin = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
        for_row_tiles(0, rows.count(s_.batch_size[s]), [&](auto R, int64_t first) {
          const T* dh[R];
          for (int r = 0; r < R; ++r) dh[r] = dh_ + s_.row(rows[first + r], s) * a_.P;
          Tile<T, R, N> tile;
          tile.clear();
          tile.multiply_add(dh, w_hr_ + begin * a_.P * L, a_.P);
          for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) cell(rows[first + r], s, (begin + n) * L, tile.acc[r][n]);
        });
      });
    }
  }

  // The cell's gradients for one sequence and units j..
  void cell(int64_t b, int64_t s, int64_t j, const V& dm) {
    const int64_t n = std::min(L, a_.H - j), H = a_.H, q = s_.sequence[b], row = s_.row(b, s);
    const T* kept = a_.gates + row * 4 * H + j;
    const Gates gate{load(kept, n), load(kept + H, n), load(kept + 2 * H, n), load(kept + 3 * H, n)};
    const T* c_prev = s > 0 ? a_.cells + s_.row(b, s - 1) * H : a_.c0 + q * H;
    V dc = load(a_.dc0 + q * H + j, n);
    const Gates d =
        math::lstm_backward<VectorMath<T>>(gate, load(c_prev + j, n), load(a_.cells + row * H + j, n), dm, dc);
    store(a_.dc0 + q * H + j, dc, n);
    T* out = dgates_ + row * 4 * H + j;
    store(out, d.i, n);
    store(out + H, d.f, n);
    store(out + 2 * H, d.g, n);
    store(out + 3 * H, d.o, n);
  }

  const LstmBackward<T>& a_;
  const Schedule& s_;
  T* dgates_;  // [N, 4H] gradients of the pre-activations, packed order
  T* dh_;      // [N, P] gradients of the projected states, packed order, with a projection
  T* w_hh_;    // packed [panels, 4H, N, L]
  T* w_ih_;    // packed [panels, 4H, N, L]
  T* w_hr_;    // packed [panels, P, N, L]
};

template <class T>
void lstm_backward(const ThreadPool& pool, const LstmBackward<T>& args) {
  LstmBackwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
