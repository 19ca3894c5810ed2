// The backward pass, for one instruction set (included through foreach_isa.h).
//
// Through time, from the last step to the first; the gradient of the input comes along, while dgates is in the cache:
//
//   dgates_{t+1} [b, 4H]  x  W_ih [4H, I]   ->  dx_{t+1}                           (put off where few rows are active)
//   dgates_{t+1} [b, 4H]  x  W_hh [4H, P]   ->  + dy_t, + dh_n at a sequence's end  =  dh_t      (a tile in registers)
//   dh_t  (x W_hr [P, H])                   ->  the cell's gradients                =  dgates_t, dc_t
//
// As in the forward pass the members of a team share out the columns, or, where the weights fit a core's cache, the
// sequences. The gradients of the weights are large products over all steps afterwards (weight_gradient.h).
//
// With tokens dgates is summed for each distinct one after the last step, and what concerns the input is made of these
// sums: dx and the gradient of W_ih, each with U rows instead of N.

namespace TEXTNN_ISA {

template <class T>
class LstmBackwardKernel {
  static constexpr int64_t L = kLanes<T>, U = kUnits<T>;
  using V = Vec<T>;
  using Gates = math::LstmGates<V>;

  // Where one sequence reads and writes when the gradients of the present step are made.
  struct Row {
    const T* later;               // dgates of the next step, null if the sequence does not take it
    T* dx;                        // of the next step, null if not wanted
    T* dh0;                       // before the first step, where dh goes; else null
    const T *dy, *dh_n;           // what is added to dh, or null
    const T *gates, *c, *c_prev;  // kept by the forward pass
    int64_t c_prev_block;         // from one block of units to the next
    T *dc, *dh, *dgates;          // dh null unless there is a projection
  };

 public:
  explicit LstmBackwardKernel(const LstmBackward<T>& a) : a_(a), s_(a.schedule) {}

  void run(const ThreadPool& pool) {
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    const int64_t state = unit_blocks<T>(a_.H) * s_.B * U;
    Workspace workspace(bytes(s_.N * 4 * a_.H) + bytes(a_.w_hr ? s_.N * a_.P : 0) + 2 * bytes(state));
    dgates_ = workspace.take<T>(s_.N * 4 * a_.H);
    dh_ = workspace.take<T>(a_.w_hr ? s_.N * a_.P : 0);
    c0_ = workspace.take<T>(state);
    dc_ = workspace.take<T>(state);
    through_time(pool);
    weights(pool);
  }

 private:
  void through_time(const ThreadPool& pool) {
    const int64_t I = a_.dx && !a_.tokens.token ? a_.I : 0, weight_bytes = (a_.P + I) * 4 * a_.H * int64_t(sizeof(T));
    const double work = double(s_.N) * (a_.P + I) * 4 * a_.H;
    const int threads = int(std::min<int64_t>(pool.threads, work / kRecurrentWorkPerThread + 1));
    const bool share_rows = threads > 1 && weight_bytes <= kRecurrentCacheBytes && s_.B >= 2 * kMaxRows * threads;
    const Panels state(a_.P, L, threads), input(I, L, threads), hidden(a_.w_hr ? a_.H : 0, L, threads);
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(state.vectors * 4 * a_.H * L) + bytes(input.vectors * 4 * a_.H * L) +
                        bytes(hidden.vectors * a_.P * L) + Workspace::bytes<Row>((s_.B + kSliceRows) * threads));
    w_hh_ = workspace.take<T>(state.vectors * 4 * a_.H * L);
    w_ih_ = workspace.take<T>(input.vectors * 4 * a_.H * L);
    w_hr_ = workspace.take<T>(hidden.vectors * a_.P * L);
    Row* tables = workspace.take<Row>((s_.B + kSliceRows) * threads);

    Team::run(pool, threads, [&](Team& team, int member, int size) {
      Share states(state.count, member, size), inputs(input.count, member, size), cells(hidden.count, member, size);
      pack(w_hh_, a_.w_hh, 4 * a_.H, a_.P, state, states);
      pack(w_ih_, a_.w_ih, 4 * a_.H, I, input, inputs);
      pack(w_hr_, a_.w_hr, a_.P, a_.H, hidden, cells);
      for (int64_t b = member; b < s_.B; b += size) start(b);
      team.barrier();
      const bool alone = share_rows && size > 1;  // with sequences of its own
      const Rows rows = alone ? Rows{member, size} : Rows{0, 1};
      if (alone) {
        states = Share(state.count, 0, 1);
        inputs = Share(input.count, 0, 1);
        cells = Share(hidden.count, 0, 1);
      }
      Row *table = tables + member * (s_.B + kSliceRows), *put_off = table + s_.B;
      int64_t waiting = 0;  // rows whose dx has been put off
      const auto make_dx = [&](const Row* of, int64_t count) {
        for (int64_t p = inputs.begin; p < inputs.end; ++p)
          product(of, count, w_ih_, input, p,
                  [&](const Row* r, int n, int64_t j, int v, const V* dx) { put(r, n, j, v, dx); });
      };
      for (int64_t s = s_.T - 1; s >= -1; --s) {
        const int64_t running = s + 1 < s_.T ? rows.count(s_.batch_size[s + 1]) : 0;  // those that take step s + 1 too
        const int64_t count = s >= 0 ? rows.count(s_.batch_size[s]) : running;
        for (int64_t i = 0; i < count; ++i) table[i] = row(rows[i], s, i < running);
        for (int64_t p = states.begin; p < states.end; ++p) {
          product(table, running, w_hh_, state, p,
                  [&](const Row* r, int n, int64_t j, int v, const V* dh) { accept(r, n, j, v, dh); });
          const int64_t j = state.begin(p) * L;
          if (count > running)
            accept(table + running, int(count - running), j, int(state.begin(p + 1) - state.begin(p)), nullptr);
        }
        if (running > kFewRows) {
          make_dx(table, running);
        } else {
          std::copy(table, table + running, put_off + waiting);
          waiting += running;
        }
        if (waiting > kSliceRows - kFewRows || s < 0) make_dx(put_off, std::exchange(waiting, 0));
        if (!alone) team.barrier();
        if (!a_.w_hr || s < 0) continue;
        unproject(table, count, hidden, cells);
        if (!alone) team.barrier();
      }
      team.barrier();
      for (int64_t b = member; b < s_.B; b += size) end(b);
    });
  }

  void weights(const ThreadPool& pool) const {
    const int64_t H = a_.H, P = a_.P;
    const int64_t inputs = a_.tokens.token ? a_.tokens.U : s_.N;
    Workspace workspace(Workspace::bytes<const T*>(inputs) + Workspace::bytes<const T*>(s_.N));
    const T** x = workspace.take<const T*>(inputs);
    const T** h = workspace.take<const T*>(s_.N);
    for (int64_t n = 0; n < s_.N; ++n) h[n] = a_.h_prev + n * P;
    const WeightGradient<T> of_all(pool, s_.N, 4 * H, dgates_);
    if (a_.tokens.token) {
      of_all.run(h, P, a_.dw_hh, nullptr, 0, nullptr, a_.db);
      input_of_tokens(pool, x);
    } else {
      for_places([&](int64_t n, int64_t place) { x[n] = a_.x + place; });
      of_all.run(x, a_.I, a_.dw_ih, h, P, a_.dw_hh, a_.db);
    }
    if (!a_.w_hr) return;
    for (int64_t n = 0; n < s_.N; ++n) h[n] = a_.unprojected + n * H;
    WeightGradient<T>(pool, s_.N, P, dh_).run(h, H, a_.dw_hr, nullptr, 0, nullptr, nullptr);
  }

  // f(row in packed order, place in x) for all steps of all sequences.
  template <class F>
  void for_places(F&& f) const {
    for (int64_t t = 0; t < s_.T; ++t)
      for (int64_t b = 0, n = s_.first_row[t]; b < s_.batch_size[t]; ++b, ++n)
        f(n, a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[t]);
  }

  // dx and dw_ih from the sums of dgates for each distinct token. x: room for as many pointers.
  void input_of_tokens(const ThreadPool& pool, const T** x) const {
    constexpr int64_t kTokens = 6 * kMaxRows;
    const int64_t distinct = a_.tokens.U, J = 4 * a_.H;
    const Panels input(a_.dx ? a_.I : 0, L, 1);
    Workspace workspace(Workspace::bytes<T>(distinct * J) + Workspace::bytes<T>(input.vectors * J * L) +
                        Workspace::bytes<int32_t>(distinct + 2) + Workspace::bytes<int32_t>(s_.N));
    T *sums = workspace.take<T>(distinct * J), *w_ih = workspace.take<T>(input.vectors * J * L);
    int32_t *end = workspace.take<int32_t>(distinct + 2), *rows = workspace.take<int32_t>(s_.N);
    std::fill(end, end + distinct + 2, 0);
    const int32_t* token = a_.tokens.token;
    for_places([&](int64_t, int64_t place) { ++end[token[place] + 2]; });
    for (int64_t u = 0; u < distinct; ++u) end[u + 2] += end[u + 1];
    for_places([&](int64_t n, int64_t place) { rows[end[token[place] + 1]++] = int32_t(n); });
    for_units(pool, input.count,
              [&](int64_t p) { pack(w_ih, a_.w_ih, J, a_.I, input, Share(input.count, int(p), int(input.count))); });
    for_units(pool, (distinct + kTokens - 1) / kTokens, [&](int64_t unit) {
      const int64_t begin = unit * kTokens, stop = std::min(distinct, begin + kTokens);
      Row table[kTokens];
      for (int64_t u = begin; u < stop; ++u) {
        sum_rows(sums + u * J, dgates_, rows + end[u], end[u + 1] - end[u], J);
        x[u] = a_.x + a_.tokens.distinct[u] * a_.I;
        table[u - begin].later = sums + u * J;
        table[u - begin].dx = a_.dx ? a_.dx + u * a_.I : nullptr;
      }
      for (int64_t p = 0; p < input.count; ++p)
        product(table, stop - begin, w_ih, input, p,
                [&](const Row* r, int n, int64_t j, int v, const V* dx) { put(r, n, j, v, dx); });
    });
    WeightGradient<T>(pool, distinct, J, sums).run(x, a_.I, a_.dw_ih, nullptr, 0, nullptr, nullptr);
  }

  // The panels of one member of a matrix [K, columns].
  static void pack(T* to, const T* from, int64_t K, int64_t columns, const Panels& panels, const Share& mine) {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t first = panels.begin(p), n = panels.begin(p + 1) - first;
      pack_panel(to + first * K * L, from, K, first * L, columns, n);
    }
  }

  // Initial and running state in blocks of units; sequences without a step pass their gradients on.
  void start(int64_t b) {
    const int64_t q = s_.sequence[b];
    to_blocks(a_.c0 + q * a_.H, a_.H, c0_ + b * U, s_.B * U);
    to_blocks(a_.dc_n ? a_.dc_n + q * a_.H : nullptr, a_.H, dc_ + b * U, s_.B * U);
    if (s_.length[b] == 0) copy_or_clear(a_.dh0 + q * a_.P, a_.dh_n ? a_.dh_n + q * a_.P : nullptr, a_.P);
  }
  void end(int64_t b) const {
    for (int64_t j = 0; j < a_.H; j += U)
      std::memcpy(a_.dc0 + s_.sequence[b] * a_.H + j, dc_ + j * s_.B + b * U, std::min(U, a_.H - j) * sizeof(T));
  }
  static void copy_or_clear(T* to, const T* from, int64_t n) {
    if (from)
      std::memcpy(to, from, n * sizeof(T));
    else
      std::memset(to, 0, n * sizeof(T));
  }

  Row row(int64_t b, int64_t s, bool running) const {
    const int64_t q = s_.sequence[b];
    Row r{};
    if (running) {
      r.later = dgates_ + s_.row(b, s + 1) * 4 * a_.H;
      if (a_.dx && !a_.tokens.token)
        r.dx = a_.dx + a_.dx_layout.sequence_offset[b] + a_.dx_layout.step_offset[s_.time(b, s + 1)];
    }
    if (s < 0) {
      r.dh0 = a_.dh0 + q * a_.P;
      return r;
    }
    const int64_t n = s_.row(b, s);
    if (a_.dy) r.dy = a_.dy + a_.dy_layout.sequence_offset[b] + a_.dy_layout.step_offset[s_.time(b, s)];
    if (a_.dh_n && s + 1 == s_.length[b]) r.dh_n = a_.dh_n + q * a_.P;
    r.gates = a_.gates + n * 4 * U;
    r.c = a_.cells + n * U;
    r.c_prev = s > 0 ? a_.cells + s_.row(b, s - 1) * U : c0_ + b * U;
    r.c_prev_block = (s > 0 ? s_.N : s_.B) * U;
    r.dc = dc_ + b * U;
    if (a_.w_hr) r.dh = dh_ + n * a_.P;
    r.dgates = dgates_ + n * 4 * a_.H;
    return r;
  }

  // use(rows, R, j, N, [R][N] vectors: columns j.. of dgates of the next step x weights) for the first `running`
  // sequences and panel p of the weights.
  template <class Use>
  void product(const Row* table, int64_t running, const T* weights, const Panels& panels, int64_t p, Use&& use) const {
    const int64_t begin = panels.begin(p);
    with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
      for_row_tiles(0, running, [&](auto R, int64_t first) {
        const T* dgates[R];
        for (int r = 0; r < R; ++r) dgates[r] = table[first + r].later;
        Tile<T, R, N> tile;
        tile.clear();
        tile.multiply_add(dgates, weights + begin * 4 * a_.H * L, 4 * a_.H);
        use(table + first, R, begin * L, N, &tile.acc[0][0]);
      });
    });
  }

  // Vectors of units j.. of the gradient of the output state, as far as it comes from the next step: [count][vectors],
  // or null for zeros.
  [[gnu::noinline]] void accept(const Row* rows, int count, int64_t j, int vectors, const V* dh) const {
    for (int r = 0; r < count; ++r) {
      const Row& row = rows[r];
      for (int v = 0; v < vectors; ++v) {
        const int64_t at = j + v * L, n = a_.P - at;
        V d = dh ? dh[r * vectors + v] : V{};
        if (row.dy) d += load(row.dy + at, n);
        if (row.dh_n) d += load(row.dh_n + at, n);
        if (row.dh0)
          store(row.dh0 + at, d, n);
        else if (row.dh)
          store(row.dh + at, d, n);
        else
          cell(row, at, d);
      }
    }
  }

  [[gnu::noinline]] void put(const Row* rows, int count, int64_t j, int vectors, const V* dx) const {
    for (int r = 0; r < count; ++r)
      for (int v = 0; v < vectors; ++v) {
        T* to = rows[r].dx + j + v * L;
        const int64_t n = a_.I - j - v * L;
        store(to, a_.add_dx ? dx[r * vectors + v] + load(to, n) : dx[r * vectors + v], n);
      }
  }

  [[gnu::noinline]] void cells(const Row* rows, int count, int64_t j, int vectors, const V* dm) const {
    for (int r = 0; r < count; ++r)
      for (int v = 0; v < vectors; ++v) cell(rows[r], j + v * L, dm[r * vectors + v]);
  }

  void unproject(const Row* table, int64_t count, const Panels& panels, const Share& mine) const {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t begin = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
        for_row_tiles(0, count, [&](auto R, int64_t first) {
          const T* dh[R];
          for (int r = 0; r < R; ++r) dh[r] = table[first + r].dh;
          Tile<T, R, N> tile;
          tile.clear();
          tile.multiply_add(dh, w_hr_ + begin * a_.P * L, a_.P);
          cells(table + first, R, begin * L, N, &tile.acc[0][0]);
        });
      });
    }
  }

  // The cell's gradients for one sequence and units j..
  [[gnu::always_inline]] inline void cell(const Row& row, int64_t j, const V& dm) const {
    const int64_t block = j / U, at = j % U, n = a_.H - j, H = a_.H;
    const T* kept = row.gates + block * s_.N * 4 * U + at;
    const Gates gate{load(kept), load(kept + U), load(kept + 2 * U), load(kept + 3 * U)};
    T* dc_at = row.dc + block * s_.B * U + at;
    V dc = load(dc_at);
    const Gates d = math::lstm_backward<VectorMath<T>>(gate, load(row.c_prev + block * row.c_prev_block + at),
                                                       load(row.c + block * s_.N * U + at), dm, dc);
    store(dc_at, dc);
    T* out = row.dgates + j;
    store(out, d.i, n);
    store(out + H, d.f, n);
    store(out + 2 * H, d.g, n);
    store(out + 3 * H, d.o, n);
  }

  const LstmBackward<T>& a_;
  const Schedule& s_;
  T* dgates_;  // [N, 4H] gradients of the pre-activations, packed order
  T* dh_;      // [N, P] gradients of the projected states, packed order, with a projection
  T* c0_;      // [blocks, B, U]
  T* dc_;      // [blocks, B, U] running gradient of the cell state
  T* w_hh_;    // packed [panels, 4H, N, L]
  T* w_ih_;    // packed [panels, 4H, N, L]
  T* w_hr_;    // packed [panels, P, N, L]
};

template <class T>
void lstm_backward(const ThreadPool& pool, const LstmBackward<T>& args) {
  LstmBackwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
