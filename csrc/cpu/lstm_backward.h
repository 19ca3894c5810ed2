// The backward pass through time, for one instruction set (included through foreach_isa.h).
//
// Only what depends on the next step is done here, from the last step to the first:
//
//   dgates_{t+1} [b, 4H]  x  W_hh [4H, P]   ->  + dy_t, + dh_n at a sequence's end  =  dh_t      (a tile in registers)
//   dh_t  (x W_hr [P, H])                   ->  the cell's gradients                =  dgates_t, dc_t
//
// The gradients of the weights and of the input are large products over all steps afterwards; the operator makes them.
// As in the forward pass the members of a team share out the hidden units, or, where the weights fit a core's cache, the
// sequences.

namespace TEXTNN_ISA {

template <class T>
class LstmBackwardKernel {
  static constexpr int64_t L = kLanes<T>;
  using V = Vec<T>;
  using Gates = math::LstmGates<V>;

 public:
  explicit LstmBackwardKernel(const LstmBackward<T>& a) : a_(a), s_(a.schedule) {}

  void run(const ThreadPool& pool) {
    const double work = double(s_.N) * a_.P * 4 * a_.H;
    const int threads = int(std::min<int64_t>(pool.threads, work / kRecurrentWorkPerThread + 1));
    const bool share_rows =
        threads > 1 && a_.P * 4 * a_.H * int64_t(sizeof(T)) <= kRecurrentCacheBytes && s_.B >= 2 * kMaxRows * threads;
    const Panels state(a_.P, L, threads), hidden(a_.w_hr ? a_.H : 0, L, threads);
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(state.vectors * 4 * a_.H * L) + bytes(hidden.vectors * a_.P * L));
    w_hh_ = workspace.take<T>(state.vectors * 4 * a_.H * L);
    w_hr_ = workspace.take<T>(hidden.vectors * a_.P * L);

    Team::run(pool, threads, [&](Team& team, int member, int size) {
      const Share mine(state.count, member, size), cells(hidden.count, member, size);
      for (int64_t p = mine.begin; p < mine.end; ++p)
        pack_panel(w_hh_ + state.begin(p) * 4 * a_.H * L, a_.w_hh, 4 * a_.H, a_.P, 1, state.begin(p) * L, a_.P,
                   state.begin(p + 1) - state.begin(p));
      for (int64_t p = cells.begin; p < cells.end; ++p)
        pack_panel(w_hr_ + hidden.begin(p) * a_.P * L, a_.w_hr, a_.P, a_.H, 1, hidden.begin(p) * L, a_.H,
                   hidden.begin(p + 1) - hidden.begin(p));
      for (int64_t b = member; b < s_.B; b += size) start(b);
      team.barrier();
      const bool alone = share_rows && size > 1;
      const Rows rows = alone ? Rows{member, size} : Rows{0, 1};
      const int64_t begin = alone ? 0 : mine.begin, end = alone ? state.count : mine.end;
      for (int64_t s = s_.T - 1; s >= -1; --s) {
        for (int64_t p = begin; p < end; ++p) state_gradient(s, rows, state.begin(p), state.begin(p + 1));
        if (!alone) team.barrier();
        if (!a_.w_hr || s < 0) continue;
        for (int64_t p = alone ? 0 : cells.begin; p < (alone ? hidden.count : cells.end); ++p)
          unproject(s, rows, hidden.begin(p), hidden.begin(p + 1));
        if (!alone) team.barrier();
      }
    });
  }

 private:
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

  // Columns [begin, end) (in vectors) of dh_s for all sequences that are active at step s; s = -1 gives dh0.
  void state_gradient(int64_t s, const Rows& rows, int64_t begin, int64_t end) {
    const int64_t running = s + 1 < s_.T ? rows.count(s_.batch_size[s + 1]) : 0;  // those that take step s + 1 too
    const int64_t count = s >= 0 ? rows.count(s_.batch_size[s]) : running;
    with_constant<kMaxVectors>(int(end - begin), [&](auto N) {
      for_row_tiles(0, running, [&](auto R, int64_t first) {
        const T* dgates[R];
        for (int r = 0; r < R; ++r) dgates[r] = a_.dgates + s_.row(rows[first + r], s + 1) * 4 * a_.H;
        Tile<T, R, N> tile;
        tile.clear();
        tile.multiply_add(dgates, w_hh_ + begin * 4 * a_.H * L, 4 * a_.H);
        for (int r = 0; r < R; ++r)
          for (int n = 0; n < N; ++n) accept(rows[first + r], s, (begin + n) * L, tile.acc[r][n]);
      });
      for (int64_t i = running; i < count; ++i)
        for (int n = 0; n < N; ++n) accept(rows[i], s, (begin + n) * L, V{});
    });
  }

  // Units j.. of the gradient of the output state after step s, as far as it comes from step s + 1.
  void accept(int64_t b, int64_t s, int64_t j, V dh) {
    const int64_t n = std::min(L, a_.P - j), q = s_.sequence[b];
    if (s < 0) return store(a_.dh0 + q * a_.P + j, dh, n);
    if (a_.dy) dh += load(a_.dy + a_.dy_layout.sequence_offset[b] + a_.dy_layout.step_offset[s_.time(b, s)] + j, n);
    if (a_.dh_n && s + 1 == s_.length[b]) dh += load(a_.dh_n + q * a_.P + j, n);
    if (a_.w_hr)
      store(a_.dh + s_.row(b, s) * a_.P + j, dh, n);
    else
      cell(b, s, j, dh);
  }

  void unproject(int64_t s, const Rows& rows, int64_t begin, int64_t end) {
    with_constant<kMaxVectors>(int(end - begin), [&](auto N) {
      for_row_tiles(0, rows.count(s_.batch_size[s]), [&](auto R, int64_t first) {
        const T* dh[R];
        for (int r = 0; r < R; ++r) dh[r] = a_.dh + s_.row(rows[first + r], s) * a_.P;
        Tile<T, R, N> tile;
        tile.clear();
        tile.multiply_add(dh, w_hr_ + begin * a_.P * L, a_.P);
        for (int r = 0; r < R; ++r)
          for (int n = 0; n < N; ++n) cell(rows[first + r], s, (begin + n) * L, tile.acc[r][n]);
      });
    });
  }

  // The cell's gradients for one sequence and units j..
  void cell(int64_t b, int64_t s, int64_t j, const V& dm) {
    const int64_t n = std::min(L, a_.H - j), H = a_.H, q = s_.sequence[b], row = s_.row(b, s);
    const T* kept = a_.gates + row * 4 * H + j;
    const Gates gate{load(kept, n), load(kept + H, n), load(kept + 2 * H, n), load(kept + 3 * H, n)};
    const T* c_prev = s > 0 ? a_.cells + s_.row(b, s - 1) * H : a_.c0 + q * H;
    V dc = load(a_.dc0 + q * H + j, n);
    const Gates d = math::lstm_backward<VectorMath<T>>(gate, load(c_prev + j, n), load(a_.cells + row * H + j, n), dm, dc);
    store(a_.dc0 + q * H + j, dc, n);
    T* out = a_.dgates + row * 4 * H + j;
    store(out, d.i, n);
    store(out + H, d.f, n);
    store(out + 2 * H, d.g, n);
    store(out + 3 * H, d.o, n);
  }

  const LstmBackward<T>& a_;
  const Schedule& s_;
  T* w_hh_;  // packed [panels, 4H, N, L]
  T* w_hr_;  // packed [panels, P, N, L]
};

template <class T>
void lstm_backward(const ThreadPool& pool, const LstmBackward<T>& args) {
  LstmBackwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
