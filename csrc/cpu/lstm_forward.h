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
//
// A tile of few rows is bound by reading the weights. So where few sequences are active (one sentence, the long tail of
// a ragged batch) the input's products are made for a slice of steps at once, which reads W_ih once for many rows; the
// slice stays in the cache.
//
// With tokens the products of all distinct ones are made before the first step, unless hardly any token comes twice.

namespace TEXTNN_ISA {

template <class T>
class LstmForwardKernel {
  static constexpr int64_t L = kLanes<T>;
  using V = Vec<T>;
  using Gates = math::LstmGates<V>;

  static constexpr int64_t U = kUnits<T>;
  static constexpr double kRepeated = 0.8;  // of the positions: with more distinct tokens their products do not pay

  // Where one sequence reads and writes at the present step.
  struct Row {
    const T *x, *h, *c;
    T *y, *h_next, *c_next;         // y null if outputs are not wanted
    int64_t c_block, c_next_block;  // from one block of units to the next
    T* c_n;                         // null but at the sequence's last step
    T* gates;                       // null in inference
    int64_t product;                // which row of the input products, where they have been made
    T* m;                           // o * tanh(c) where there is a projection, else null
  };
  // Input products of some steps for one member: [own panels][rows][4][L].
  struct Slice {
    T* products;
    const T** x;                          // [rows]
    int64_t rows = 0, next = 0, end = 0;  // rows in all, those used up, the first step behind it
    T* of(int64_t panel, int64_t row) const { return products + (panel * kSliceRows + row) * 4 * L; }
  };

 public:
  explicit LstmForwardKernel(const LstmForward<T>& a)
      : a_(a), s_(a.schedule), training_(a.h_prev != nullptr), panels_((a.H + L - 1) / L) {
    if (a.tokens.token && double(a.tokens.U) < kRepeated * double(s_.N)) distinct_ = a.tokens.U;
  }

  void run(const ThreadPool& pool) {
    const int threads = int(std::min<int64_t>(pool.threads, work() / kRecurrentWorkPerThread + 1));
    const bool share_rows = threads > 1 && weight_bytes() <= kRecurrentCacheBytes && s_.B >= 2 * kMaxRows * threads;
    const Panels projection(a_.w_hr ? a_.P : 0, L, threads);
    const int64_t K = a_.I + a_.P, state = unit_blocks<T>(a_.H) * s_.B * U;
    const int64_t m_size = a_.w_hr && !training_ ? s_.B * a_.H : 0, h_size = training_ ? 0 : 2 * s_.B * a_.P;
    const int64_t slice = distinct_ ? 0 : panels_ * kSliceRows * 4 * L * (share_rows ? threads : 1);
    const int64_t distinct = panels_ * distinct_ * 4 * L;
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    Workspace workspace(bytes(panels_ * K * 4 * L) + bytes(panels_ * 4 * L) + bytes(projection.vectors * a_.H * L) +
                        bytes(state) + bytes(m_size) + bytes(h_size) + bytes(slice) + bytes(distinct) +
                        Workspace::bytes<const T*>(kSliceRows * threads) + Workspace::bytes<Row>(s_.B * threads));
    weights_ = workspace.take<T>(panels_ * K * 4 * L);
    bias_ = workspace.take<T>(panels_ * 4 * L);
    w_hr_ = workspace.take<T>(projection.vectors * a_.H * L);
    c_ = workspace.take<T>(state);
    m_ = workspace.take<T>(m_size);
    h_ = workspace.take<T>(h_size);
    T* products = workspace.take<T>(slice);
    products_ = workspace.take<T>(distinct);
    const T** slice_x = workspace.take<const T*>(kSliceRows * threads);
    Row* tables = workspace.take<Row>(s_.B * threads);

    Team::run(pool, threads, [&](Team& team, int member, int size) {
      const Share mine(panels_, member, size), projected(projection.count, member, size);
      for (int64_t p = mine.begin; p < mine.end; ++p) pack(p);
      for (int64_t p = projected.begin; p < projected.end; ++p) pack_projection(projection, p);
      for (int64_t p = mine.begin; distinct_ && p < mine.end; ++p) make_products(p);
      start(member, size);
      team.barrier();
      const bool alone = share_rows && size > 1;  // with sequences of its own
      const Rows rows = alone ? Rows{member, size} : Rows{0, 1};
      const Share panels = alone ? Share(panels_, 0, 1) : mine;
      const Share outputs = alone ? Share(projection.count, 0, 1) : projected;
      Row* table = tables + member * s_.B;
      Slice slice;
      slice.products = products + (alone ? member * panels_ : mine.begin) * kSliceRows * 4 * L;
      slice.x = slice_x + member * kSliceRows;
      for (int64_t s = 0; s < s_.T; ++s) {
        const int64_t count = rows.count(s_.batch_size[s]);
        for (int64_t i = 0; i < count; ++i) table[i] = row(rows[i], s);
        if (!distinct_ && s >= slice.end && count <= kFewRows) prepare(slice, s, rows, panels);
        if (s < slice.end)
          for (int64_t i = 0; i < count; ++i) table[i].product = slice.next++;
        for (int64_t p = panels.begin; p < panels.end; ++p) {
          const T* made = distinct_       ? products_ + p * distinct_ * 4 * L
                          : s < slice.end ? slice.of(p - panels.begin, 0)
                                          : nullptr;
          for_row_tiles(0, count, [&](auto R, int64_t first) { tile<R>(table + first, p, made); });
        }
        if (!alone) team.barrier();
        if (!a_.w_hr) continue;
        project(table, count, projection, outputs);
        if (!alone) team.barrier();
      }
    });
  }

 private:
  double work() const { return double(s_.N) * (a_.I + a_.P) * 4 * a_.H; }
  int64_t weight_bytes() const { return (a_.I + a_.P) * 4 * a_.H * int64_t(sizeof(T)); }
  int64_t place(int64_t b, int64_t s) const {
    return a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[s_.time(b, s)];
  }
  const T* x(int64_t b, int64_t s) const {
    const int64_t at = place(b, s);
    return a_.x + (a_.tokens.token ? a_.tokens.distinct[a_.tokens.token[at]] * a_.I : at);
  }

  Row row(int64_t b, int64_t s) const {
    const int64_t t = s_.time(b, s), n = s_.first_row[t] + b, q = s_.sequence[b];
    const bool last = s + 1 == s_.length[b];
    Row r;
    r.x = x(b, s);
    r.product = distinct_ ? a_.tokens.token[place(b, s)] : 0;
    r.y = a_.y ? a_.y + a_.y_layout.sequence_offset[b] + a_.y_layout.step_offset[t] : nullptr;
    r.c_n = last ? a_.c_n + q * a_.H : nullptr;
    r.c = c_ + b * U;
    r.c_block = s_.B * U;
    if (training_) {
      r.h = a_.h_prev + n * a_.P;
      r.h_next = last ? a_.h_n + q * a_.P : a_.h_prev + s_.row(b, s + 1) * a_.P;
      if (s > 0) {
        r.c = a_.cells + s_.row(b, s - 1) * U;
        r.c_block = s_.N * U;
      }
      r.c_next = a_.cells + n * U;
      r.c_next_block = s_.N * U;
      r.gates = a_.gates + n * 4 * U;
      r.m = a_.w_hr ? a_.unprojected + n * a_.H : nullptr;
    } else {
      r.h = h_ + ((s & 1) * s_.B + b) * a_.P;
      r.h_next = last ? a_.h_n + q * a_.P : h_ + (((s + 1) & 1) * s_.B + b) * a_.P;
      r.c_next = c_ + b * U;
      r.c_next_block = s_.B * U;
      r.gates = nullptr;
      r.m = a_.w_hr ? m_ + b * a_.H : nullptr;
    }
    return r;
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
      const int64_t q = s_.sequence[b];
      if (s_.length[b] > 0) {
        std::memcpy(const_cast<T*>(row(b, 0).h), a_.h0 + q * a_.P, a_.P * sizeof(T));
        to_blocks(a_.c0 + q * a_.H, a_.H, c_ + b * U, s_.B * U);
      } else {
        std::memcpy(a_.h_n + q * a_.P, a_.h0 + q * a_.P, a_.P * sizeof(T));
        std::memcpy(a_.c_n + q * a_.H, a_.c0 + q * a_.H, a_.H * sizeof(T));
      }
    }
  }

  // The input's products of the steps from s on, as far as they fit a slice.
  void prepare(Slice& slice, int64_t s, const Rows& rows, const Share& panels) const {
    slice.rows = 0;
    slice.end = s;
    for (int64_t count; slice.end < s_.T; ++slice.end) {
      count = rows.count(s_.batch_size[slice.end]);
      if (slice.rows + count > kSliceRows) break;
      for (int64_t i = 0; i < count; ++i) slice.x[slice.rows++] = x(rows[i], slice.end);
    }
    slice.next = 0;
    for (int64_t p = panels.begin; p < panels.end; ++p)
      for_row_tiles(0, slice.rows, [&](auto R, int64_t first) {
        const T* x[R];
        for (int r = 0; r < R; ++r) x[r] = slice.x[first + r];
        Tile<T, R, 4> tile;
        begin(tile, p);
        tile.multiply_add(x, panel(p), a_.I);
        std::memcpy(slice.of(p - panels.begin, first), tile.acc, sizeof tile.acc);
      });
  }

  // Those of all distinct tokens with panel p.
  void make_products(int64_t p) const {
    T* to = products_ + p * distinct_ * 4 * L;
    for_row_tiles(0, distinct_, [&](auto R, int64_t first) {
      const T* x[R];
      for (int r = 0; r < R; ++r) x[r] = a_.x + a_.tokens.distinct[first + r] * a_.I;
      Tile<T, R, 4> tile;
      begin(tile, p);
      tile.multiply_add(x, panel(p), a_.I);
      for (int r = 0; r < R; ++r)
        for (int g = 0; g < 4; ++g) store(to + ((first + r) * 4 + g) * L, tile.acc[r][g]);
    });
  }

  const T* panel(int64_t p) const { return weights_ + p * (a_.I + a_.P) * 4 * L; }

  template <int R>
  void begin(Tile<T, R, 4>& tile, int64_t p) const {
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < 4; ++g) tile.acc[r][g] = load(bias_ + (p * 4 + g) * L);
  }

  // R sequences and panel p. products: the panel's [.., 4, L] if they have been made, else null.
  template <int R>
  void tile(const Row* rows, int64_t p, const T* products) const {
    const T *x[R], *h[R];
    for (int r = 0; r < R; ++r) {
      x[r] = rows[r].x;
      h[r] = rows[r].h;
    }
    Tile<T, R, 4> tile;
    if (products) {
      for (int r = 0; r < R; ++r)
        for (int g = 0; g < 4; ++g) tile.acc[r][g] = load(products + (rows[r].product * 4 + g) * L);
    } else {
      begin(tile, p);
      tile.multiply_add(x, panel(p), a_.I);
    }
    tile.multiply_add(h, panel(p) + a_.I * 4 * L, a_.P);
    finish(rows, R, p * L, tile.acc);
  }

  // From the pre-activations of some sequences and a vector of units (from unit j on) to everything that is stored. A
  // loop in a function of its own: unrolled into every tile the code would not fit the caches of instructions.
  [[gnu::noinline]] void finish(const Row* rows, int count, int64_t j, const V (*acc)[4]) const {
    const int64_t n = std::min(L, a_.H - j), block = j / U, at = j % U;
    for (int r = 0; r < count; ++r) {
      const Row& row = rows[r];
      const Gates gate = math::lstm_activate<VectorMath<T>>(Gates{acc[r][0], acc[r][1], acc[r][2], acc[r][3]});
      const auto state = math::lstm_update<VectorMath<T>>(gate, load(row.c + block * row.c_block + at));
      store(row.c_next + block * row.c_next_block + at, state.c);
      if (row.gates) {
        T* kept = row.gates + block * s_.N * 4 * U + at;
        store(kept, gate.i);
        store(kept + U, gate.f);
        store(kept + 2 * U, gate.g);
        store(kept + 3 * U, gate.o);
      }
      if (row.c_n) store(row.c_n + j, state.c, n);
      if (row.m)
        store(row.m + j, state.m, n);
      else
        emit(row, j, state.m, n);
    }
  }

  // Units j.. of the output state go to the output, and to the next step or, at the end of a sequence, its final state.
  static void emit(const Row& row, int64_t j, const V& h, int64_t n) {
    if (row.y) store(row.y + j, h, n);
    store(row.h_next + j, h, n);
  }

  void project(const Row* table, int64_t count, const Panels& panels, const Share& mine) const {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t vector = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - vector), [&](auto N) {
        for_row_tiles(0, count, [&](auto R, int64_t first) {
          const T* m[R];
          for (int r = 0; r < R; ++r) m[r] = table[first + r].m;
          Tile<T, R, N> tile;
          tile.clear();
          tile.multiply_add(m, w_hr_ + vector * a_.H * L, a_.H);
          for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) {
              const int64_t j = (vector + n) * L;
              emit(table[first + r], j, tile.acc[r][n], std::min(L, a_.P - j));
            }
        });
      });
    }
  }

  const LstmForward<T>& a_;
  const Schedule& s_;
  const bool training_;
  const int64_t panels_;
  int64_t distinct_ = 0;  // tokens whose products are made first
  T* products_;           // of these [panels, U, 4, L]
  T* weights_;            // [panels, I + P, 4, L]
  T* bias_;               // [panels, 4, L]
  T* w_hr_;               // [panels of the projection, H, N, L]
  T* c_;                  // [blocks, B, U]: the initial state, in inference the present one
  T* m_;                  // [B, H] in inference with a projection
  T* h_;                  // [2, B, P] in inference: the state before the step, and after it
};

template <class T>
void lstm_forward(const ThreadPool& pool, const LstmForward<T>& args) {
  LstmForwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
