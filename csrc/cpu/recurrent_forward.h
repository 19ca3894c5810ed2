// The forward pass of a cell, for one instruction set (included through foreach_isa.h).
//
//   x_t rows  ------>  a panel of weights  ------>  acc[R][sums]  ------>  the cell's forward pass of R sequences x
//   h_t-1 rows ----->  (recurrent_weights.h)         (registers)           units, written at once
//
// The weights are packed once a call. The members of the team share out the hidden units, so that each keeps its part
// of the weights in its own cache for the whole sequence and a light barrier separates the steps; or, where all weights
// fit a core's cache and there are enough sequences, they share out the sequences and never wait.
//
// A tile of few rows is bound by reading the weights. So where few sequences are active (one sentence, the long tail of
// a ragged batch) the input's products are made for a slice of steps at once, which reads W_ih once for many rows; the
// slice stays in the cache. With tokens the products of all distinct ones come first, unless hardly any comes twice.
//
// Product is the precision of the products (precision.h). Where it rounds, each row is rounded once: the state of the
// next step as it leaves the registers, the input by each member before its tiles read it.

namespace TEXTNN_ISA {

template <class Cell, class Product>
class RecurrentForwardKernel {
  using T = typename Product::T;
  using Value = typename Product::Value;
  using Stored = typename Product::Stored;
  static constexpr int64_t L = kLanes<T>, U = kUnits<T>;
  using V = Vec<T>;
  using Weights = RecurrentWeights<Cell, Product>;
  static constexpr int S = Weights::S, kWidest = Weights::kWidest;
  static constexpr math::Window kIn = Cell::kInput, kState = Cell::kState;
  static constexpr bool kRounds = Product::kRounds;
  static constexpr double kRepeated = 0.8;  // of the positions: with more distinct tokens their products do not pay

  // Where one sequence reads and writes at the present step.
  struct Row {
    const Value *x, *h;             // what the products read
    const T *h_prev, *c;            // what the cell reads
    T *y, *h_next, *c_next;         // null if not wanted
    uint16_t* y_half;               // y in bfloat16, null if not wanted
    Stored* rounded_next;           // h_next for the products of the next step, where they round
    int64_t c_block, c_next_block;  // from one block of units to the next
    T* c_out;                       // null if cell states are not wanted
    T* c_n;                         // null but at the sequence's last step
    T* kept;                        // null in inference
    int64_t product;                // which row of the input products, where they have been made
    T* m;                           // the state before its projection where there is one and it is wanted, else null
    Stored* factor_m;               // the same for the projection's product
  };
  // Input products of some steps for one member, panel by panel: [rows][sums of the input's window][vectors][L].
  struct Slice {
    T* products;
    const Value** x;                      // [rows]
    Value* rounded;                       // [rows, depth of I] where products round
    int64_t rows = 0, next = 0, end = 0;  // rows in all, those used up, the first step behind it
  };

 public:
  explicit RecurrentForwardKernel(const RecurrentForward<T>& a)
      : a_(a), s_(a.schedule), w_(a), training_(a.h_prev != nullptr) {
    if (a.tokens.token && double(a.tokens.U) < kRepeated * double(s_.N)) distinct_ = a.tokens.U;
  }

  void run(const ThreadPool& pool) {
    const double work = double(s_.N) * (a_.I * kIn.size + a_.P * kState.size) * a_.H;  // multiply-adds
    const bool fits = w_.size(a_.H) * int64_t(sizeof(Value)) <= core_cache_bytes();
    const RecurrentTeam planned(pool.threads, work, s_.T, s_.B, Product::kManyRows, fits);
    const int threads = planned.threads;
    const bool share_rows = planned.share_rows;
    const Panels units(a_.H, L, share_rows ? 1 : threads, kWidest), projection(a_.w_hr ? a_.P : 0, L, threads);
    const int64_t state = Cell::kCell ? unit_blocks<T>(a_.H) * s_.B * U : 0, width = units.vectors * L;
    const int64_t m_size = a_.w_hr && !training_ && !kRounds ? s_.B * a_.H : 0,
                  h_size = keeps_state() ? 2 * s_.B * a_.P : 0;
    const int64_t slice = distinct_ ? 0 : kSliceRows * kIn.size * width * (share_rows ? threads : 1);
    const int64_t distinct = distinct_ * kIn.size * width;
    // Rows of the input that are rounded by the members: those of a step, and those of a slice.
    const int64_t rows_x = share_rows ? s_.B + threads : s_.B * threads, slice_rows = kSliceRows * threads;
    const int64_t factors_x = kRounds ? (distinct_ ? distinct_ : rows_x + slice_rows) * depth(a_.I) : 0;
    const int64_t factors_h = kRounds ? 2 * s_.B * depth(a_.P) : 0,
                  factors_m = kRounds && a_.w_hr ? s_.B * depth(a_.H) : 0;
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    const auto values = [](int64_t n) { return Workspace::bytes<Value>(n); };
    Workspace workspace(w_.bytes(units.vectors, projection.vectors) + bytes(state) + bytes(m_size) + bytes(h_size) +
                        bytes(slice) + bytes(distinct) + values(factors_x) + values(factors_h) + values(factors_m) +
                        Workspace::bytes<const Value*>(slice_rows) + Workspace::bytes<Row>(s_.B * threads));
    w_.take(workspace, units.vectors, projection.vectors);
    c_ = workspace.take<T>(state);
    m_ = workspace.take<T>(m_size);
    h_ = workspace.take<T>(h_size);
    T* products = workspace.take<T>(slice);
    products_ = workspace.take<T>(distinct);
    factors_x_ = workspace.take<Value>(factors_x);
    factors_h_ = workspace.take<Value>(factors_h);
    factors_m_ = workspace.take<Value>(factors_m);
    const Value** slice_x = workspace.take<const Value*>(slice_rows);
    Row* tables = workspace.take<Row>(s_.B * threads);

    Team::run(pool, threads, work, [&](Team& team, int member, int size) {
      [[maybe_unused]] const typename Product::Session session;
      const Share projected(projection.count, member, size);
      const Share mine(units.count, member, size);  // perhaps none, where the sequences are shared out
      for (int64_t p = mine.begin; p < mine.end; ++p)
        with_panel(units, p, [&](auto N, int64_t vector) { w_.template pack<N>(vector); });
      for (int64_t p = projected.begin; p < projected.end; ++p) w_.pack_projection(projection, p);
      if (kRounds && distinct_) {
        const Share tokens(distinct_, member, size);
        for (int64_t u = tokens.begin; u < tokens.end; ++u)
          factors(a_.x + a_.tokens.distinct[u] * a_.I, factors_x_ + u * depth(a_.I));
        team.barrier();
      }
      for (int64_t p = mine.begin; distinct_ && p < mine.end; ++p)
        with_panel(units, p, [&](auto N, int64_t vector) { make_products<N>(vector); });
      start(member, size);
      team.barrier();
      const bool alone = share_rows && size > 1;  // with sequences of its own
      const Rows rows = alone ? Rows{member, size} : Rows{0, 1};
      const Share panels = alone ? Share(units.count, 0, 1) : mine;
      const Share outputs = alone ? Share(projection.count, 0, 1) : projected;
      Row* table = tables + member * s_.B;
      Slice slice;
      slice.products = products + (alone ? member * kSliceRows * kIn.size * width : 0);
      slice.x = slice_x + member * kSliceRows;
      Value* own = factors_x_ + (kRounds ? member * (alone ? (s_.B + size - 1) / size : s_.B) * depth(a_.I) : 0);
      slice.rounded = factors_x_ + (kRounds ? (rows_x + member * kSliceRows) * depth(a_.I) : 0);
      for (int64_t s = 0; s < s_.T; ++s) {
        const int64_t count = rows.count(s_.batch_size[s]);
        for (int64_t i = 0; i < count; ++i) table[i] = row(rows[i], s);
        if (!distinct_ && s >= slice.end && count <= kPutOff<Product>) prepare(slice, s, rows, units, panels);
        if (s < slice.end)
          for (int64_t i = 0; i < count; ++i) table[i].product = slice.next++;
        else if (!distinct_)
          for (int64_t i = 0; i < count; ++i)
            table[i].x = factors(x(rows[i], s), kRounds ? own + i * depth(a_.I) : nullptr);
        for (int64_t p = panels.begin; p < panels.end; ++p)
          with_panel(units, p, [&](auto N, int64_t vector) {
            const T* made = distinct_       ? products_of(products_, distinct_, vector)
                            : s < slice.end ? products_of(slice.products, kSliceRows, vector)
                                            : nullptr;
            Product::for_row_tiles(0, count,
                                   [&](auto R, auto n, int64_t first) { tile<R, N>(table + first, n, vector, made); });
          });
        if (!alone) team.barrier();
        if (!a_.w_hr) continue;
        project(table, count, projection, outputs);
        if (!alone) team.barrier();
      }
    });
  }

 private:
  static constexpr int64_t depth(int64_t K) { return Product::depth(K); }
  // Whether the state before each step stands in h_ of its own.
  bool keeps_state() const { return !training_ && (!kRounds || Cell::kReadsState); }

  // body(Const<N>, its first vector) for the N vectors of units of a panel.
  template <class F>
  [[gnu::always_inline]] static inline void with_panel(const Panels& units, int64_t p, F&& body) {
    const int64_t first = units.begin(p);
    with_constant<kWidest>(int(units.begin(p + 1) - first), [&](auto N) { body(N, first); });
  }

  int64_t place(int64_t b, int64_t s) const {
    return a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[s_.time(b, s)];
  }
  const T* x(int64_t b, int64_t s) const {
    const int64_t at = place(b, s);
    return a_.x + (a_.tokens.token ? a_.tokens.distinct[a_.tokens.token[at]] * a_.I : at);
  }

  // A row of the input as the products read it: where it stands, or rounded to `to`.
  const Value* factors(const T* row, Value* to) const {
    if constexpr (kRounds) {
      Product::round(row, a_.I, to);
      return to;
    } else {
      return row;
    }
  }
  Value* factors_of_state(int64_t b, int64_t s) const { return factors_h_ + ((s & 1) * s_.B + b) * depth(a_.P); }
  // Where the state before a step stands; null if nobody reads it there.
  T* state(int64_t b, int64_t s) const {
    if (training_) return a_.h_prev + s_.row(b, s) * a_.P;
    return keeps_state() ? h_ + ((s & 1) * s_.B + b) * a_.P : nullptr;
  }

  Row row(int64_t b, int64_t s) const {
    const int64_t t = s_.time(b, s), n = s_.first_row[t] + b, q = s_.sequence[b];
    const bool last = s + 1 == s_.length[b];
    Row r{};
    r.product = distinct_ ? a_.tokens.token[place(b, s)] : 0;
    const int64_t y = a_.y || a_.y_half ? a_.y_layout.sequence_offset[b] + a_.y_layout.step_offset[t] : 0;
    r.y = a_.y ? a_.y + y : nullptr;
    r.y_half = a_.y_half ? a_.y_half + y : nullptr;
    r.c_out = Cell::kCell && a_.c ? a_.c + a_.c_layout.sequence_offset[b] + a_.c_layout.step_offset[t] : nullptr;
    r.c_n = last && Cell::kCell ? a_.c_n + q * a_.H : nullptr;
    r.c = c_ + b * U;
    r.c_block = s_.B * U;
    r.h_prev = state(b, s);
    r.h_next = last ? a_.h_n + q * a_.P : state(b, s + 1);
    if constexpr (kRounds) {
      r.h = factors_of_state(b, s);
      r.rounded_next = last ? nullptr : reinterpret_cast<Stored*>(factors_of_state(b, s + 1));
      if (a_.w_hr) r.factor_m = reinterpret_cast<Stored*>(factors_m_ + b * depth(a_.H));
    } else {
      r.h = r.h_prev;
    }
    if (training_) {
      if (s > 0) {
        r.c = a_.cells + s_.row(b, s - 1) * U;
        r.c_block = s_.N * U;
      }
      r.c_next = a_.cells + n * U;
      r.c_next_block = s_.N * U;
      r.kept = a_.kept + n * Cell::kKept * U;
      r.m = a_.w_hr ? a_.unprojected + n * a_.H : nullptr;
    } else {
      r.c_next = c_ + b * U;
      r.c_next_block = s_.B * U;
      r.m = a_.w_hr && !kRounds ? m_ + b * a_.H : nullptr;
    }
    return r;
  }

  static T* products_of(T* all, int64_t rows, int64_t vector) { return all + vector * rows * kIn.size * L; }

  // The initial states, to where the first step reads them; sequences without a step end as they began.
  void start(int member, int size) {
    for (int64_t b = member; b < s_.B; b += size) {
      const int64_t q = s_.sequence[b];
      const bool empty = s_.length[b] == 0;
      if (T* h = empty ? a_.h_n + q * a_.P : state(b, 0)) std::memcpy(h, a_.h0 + q * a_.P, a_.P * sizeof(T));
      if constexpr (kRounds) Product::round(a_.h0 + q * a_.P, a_.P, factors_of_state(b, 0));
      if constexpr (Cell::kCell) {
        if (empty)
          std::memcpy(a_.c_n + q * a_.H, a_.c0 + q * a_.H, a_.H * sizeof(T));
        else
          to_blocks(a_.c0 + q * a_.H, a_.H, c_ + b * U, s_.B * U);
      }
    }
  }

  // The input's products of the steps from s on, as far as they fit a slice.
  void prepare(Slice& slice, int64_t s, const Rows& rows, const Panels& units, const Share& panels) const {
    slice.rows = 0;
    slice.end = s;
    for (int64_t count; slice.end < s_.T; ++slice.end) {
      count = rows.count(s_.batch_size[slice.end]);
      if (slice.rows + count > kSliceRows) break;
      for (int64_t i = 0; i < count; ++i, ++slice.rows)
        slice.x[slice.rows] =
            factors(x(rows[i], slice.end), kRounds ? slice.rounded + slice.rows * depth(a_.I) : nullptr);
    }
    slice.next = 0;
    for (int64_t p = panels.begin; p < panels.end; ++p)
      with_panel(units, p, [&](auto N, int64_t vector) {
        T* to = products_of(slice.products, kSliceRows, vector);
        Product::for_row_tiles(0, slice.rows, [&](auto R, auto n, int64_t first) {
          multiply_input<R, N>(slice.x + first, n, vector, first, to);
        });
      });
  }

  // Those of all distinct tokens with the panel.
  template <int N>
  void make_products(int64_t vector) const {
    T* to = products_of(products_, distinct_, vector);
    Product::for_row_tiles(0, distinct_, [&](auto R, auto n, int64_t first) {
      const Value* x[R];
      for (int r = 0; r < n; ++r)
        if constexpr (kRounds)
          x[r] = factors_x_ + (first + r) * depth(a_.I);
        else
          x[r] = a_.x + a_.tokens.distinct[first + r] * a_.I;
      multiply_input<R, N>(x, n, vector, first, to);
    });
  }

  // n rows of the input's products, from `first` on.
  template <int R, int N, class Count>
  void multiply_input(const Value* const* rows, Count n, int64_t vector, int64_t first, T* to) const {
    const Value* x[R];
    std::copy(rows, rows + n, x);
    typename Product::template Tile<R, kIn.size * N> tile;
    for (int r = 0; r < n; ++r)
      for (int i = 0; i < kIn.size * N; ++i) tile.acc[r][i] = load(w_.bias(vector) + (kIn.begin * N + i) * L);
    Product::template accumulate<0, kIn.size * N>(tile, n, x, w_.input(vector), depth(a_.I));
    std::memcpy(to + first * kIn.size * N * L, tile.acc, n * sizeof tile.acc[0]);
  }

  // n sequences and N vectors of units. products: the panel's input products if they have been made, else null.
  template <int R, int N, class Count>
  void tile(const Row* rows, Count n, int64_t vector, const T* products) const {
    const Value *x[R], *h[R];
    for (int r = 0; r < n; ++r) {
      x[r] = rows[r].x;
      h[r] = rows[r].h;
    }
    typename Product::template Tile<R, S * N> tile;
    if (!(products && kIn.size == S))
      for (int r = 0; r < n; ++r)
        for (int i = 0; i < S * N; ++i) tile.acc[r][i] = load(w_.bias(vector) + i * L);
    if (products) {
      for (int r = 0; r < n; ++r)
        for (int i = 0; i < kIn.size * N; ++i)
          tile.acc[r][kIn.begin * N + i] = load(products + (rows[r].product * kIn.size * N + i) * L);
    } else {
      Product::template accumulate<kIn.begin * N, kIn.size * N>(tile, n, x, w_.input(vector), depth(a_.I));
    }
    Product::template accumulate<kState.begin * N, kState.size * N>(tile, n, h, w_.template state<N>(vector),
                                                                    depth(a_.P));
    finish<N>(rows, n, vector, tile.acc);
  }

  // From the sums of some sequences and N vectors of units to everything that is stored. A loop in a function of its
  // own: unrolled into every tile the code would not fit the caches of instructions. Flattened, as a call of sigmoid or
  // tanh spills all vectors, which costs as much as the function.
  template <int N>
  [[gnu::noinline, gnu::flatten]] void finish(const Row* rows, int count, int64_t vector, const V (*acc)[S * N]) const {
    for (int r = 0; r < count; ++r) {
      const Row& row = rows[r];
      for (int v = 0; v < N; ++v) {
        const int64_t j = (vector + v) * L, n = a_.H - j, block = j / U, at = j % U;
        V sum[S], kept[Cell::kKept], c{}, h_prev{};
        for (int i = 0; i < S; ++i) sum[i] = acc[r][i * N + v];
        if constexpr (Cell::kCell) c = load(row.c + block * row.c_block + at);
        if constexpr (Cell::kReadsState) h_prev = load(row.h_prev + j, n);
        const V h = Cell::template forward<typename Product::Math>(sum, h_prev, c, kept);
        if constexpr (Cell::kCell) {
          store(row.c_next + block * row.c_next_block + at, c);
          if (row.c_out) store(row.c_out + j, c, n);
          if (row.c_n) store(row.c_n + j, c, n);
        }
        if (row.kept) {
          T* to = row.kept + block * s_.N * Cell::kKept * U + at;
          for (int i = 0; i < Cell::kKept; ++i) store(to + i * U, kept[i]);
        }
        if (row.m) store(row.m + j, h, n);
        if (kRounds && row.factor_m) Product::write(row.factor_m + j, h, n);
        if (!row.m && !row.factor_m) emit(row, j, h, n);
      }
    }
  }

  // Units j.. of the output state, of which n are left, go to the output, and to the next step or, at the end of a
  // sequence, its final state.
  static void emit(const Row& row, int64_t j, const V& h, int64_t n) {
    if (row.y) store(row.y + j, h, n);
    if constexpr (kRounds)
      if (row.y_half) store_bfloat16(row.y_half + j, h, n);
    if (!kRounds || row.h_next) store(row.h_next + j, h, n);
    if (kRounds && row.rounded_next) Product::write(row.rounded_next + j, h, n);
  }

  void project(const Row* table, int64_t count, const Panels& panels, const Share& mine) const {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t vector = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - vector), [&](auto N) {
        Product::for_row_tiles(0, count, [&](auto R, auto rows, int64_t first) {
          const Value* m[R];
          for (int r = 0; r < rows; ++r)
            if constexpr (kRounds)
              m[r] = reinterpret_cast<const Value*>(table[first + r].factor_m);
            else
              m[r] = table[first + r].m;
          typename Product::template Tile<R, N> tile;
          tile.clear();
          Product::template accumulate<0, N>(tile, rows, m, w_.projection(vector), depth(a_.H));
          for (int r = 0; r < rows; ++r)
            for (int n = 0; n < N; ++n) {
              const int64_t j = (vector + n) * L;
              emit(table[first + r], j, tile.acc[r][n], a_.P - j);
            }
        });
      });
    }
  }

  const RecurrentForward<T>& a_;
  const Schedule& s_;
  Weights w_;
  const bool training_;
  int64_t distinct_ = 0;  // tokens whose products are made first
  T* products_;           // of these, panel by panel: [U, input's window, N, L]
  T* c_;                  // [blocks, B, U]: the initial cell state, in inference the present one
  T* m_;                  // [B, H] in inference with a projection
  T* h_;                  // [2, B, P] in inference: the state before the step, and after it
  // Where products round:
  Value* factors_x_;  // [rows of the members, depth of I] or of distinct tokens [U, depth of I]
  Value* factors_h_;  // [2, B, depth of P]
  Value* factors_m_;  // [B, depth of H]
};

template <class Cell, class T>
void recurrent_forward(const ThreadPool& pool, const RecurrentForward<T>& args) {
  RecurrentForwardKernel<Cell, Exact<T>>(args).run(pool);
}
template <class Cell>
void recurrent_forward_bfloat16(const ThreadPool& pool, const RecurrentForward<float>& args) {
  RecurrentForwardKernel<Cell, Bfloat16>(args).run(pool);
}

}  // namespace TEXTNN_ISA
