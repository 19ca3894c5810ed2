// The backward pass of a cell, for one instruction set (included through foreach_isa.h).
//
// dsums has the gradients of a unit's sums (math/cell.h), [S, H] for each step; each weight sees its own window of
// them. Through time, from the last step to the first; the gradient of the input comes along, while dsums is in the
// cache:
//
//   dsums_{t+1} [b, input's window]  x  W_ih  ->  dx_{t+1}                        (put off where few rows are active)
//   dsums_{t+1} [b, state's window]  x  W_hh  ->  + dy_t, + dh_n at a sequence's end, + the carry  =  dh_t   (a tile in
//                                                                                                     registers)
//   dh_t  (x W_hr [P, H])                     ->  the cell's backward pass        =  dsums_t, the carry
//
// As in the forward pass the members of a team share out the columns, or, where the weights fit a core's cache, the
// sequences. The gradients of the weights are large products over all steps afterwards (weight_gradient.h).
//
// With tokens dsums is summed for each distinct one after the last step, and what concerns the input is made of these
// sums: dx and the gradient of W_ih, each with U rows instead of N.
//
// Product is the precision of the products (precision.h). Where it rounds, dsums and the gradient of a projected state
// are rounded as they leave the registers and stand nowhere else; the cell's own arithmetic, the carry and all results
// are T.

namespace TEXTNN_ISA {

template <class Cell, class Product>
class RecurrentBackwardKernel {
  using T = typename Product::T;
  using Value = typename Product::Value;
  using Stored = typename Product::Stored;
  static constexpr int64_t L = kLanes<T>, U = kUnits<T>;
  static constexpr int S = Cell::kSums;
  static constexpr math::Window kIn = Cell::kInput, kState = Cell::kState;
  using V = Vec<T>;

  // Where one sequence reads and writes when the gradients of the present step are made.
  struct Row {
    const Stored* later;                  // dsums of the next step, null if the sequence does not take it
    T* dx;                                // of the next step, null if not wanted
    T* dh0;                               // before the first step, where dh goes; else null
    const T *dy, *dh_n;                   // what is added to dh, or null
    const uint16_t* dy_half;              // dy in bfloat16, or null
    const T* dc;                          // what is added to the carry, or null
    const T *kept, *h_prev, *c, *c_prev;  // of the forward pass
    int64_t c_prev_block;                 // from one block of units to the next
    T* carry;
    Stored *dh, *dsums;  // dh null unless there is a projection
  };

 public:
  explicit RecurrentBackwardKernel(const RecurrentBackward<T>& a)
      : a_(a), s_(a.schedule), Hs_(stored<Product>(a.H)), Ps_(stored<Product>(a.P)) {}

  void run(const ThreadPool& pool) {
    const auto bytes = [](int64_t n) { return Workspace::bytes<T>(n); };
    const int64_t state = unit_blocks<T>(a_.H) * s_.B * U;
    const int64_t cell = Cell::kCell ? state : 0, carry = Cell::kCarry != math::Carry::kNone ? state : 0;
    const int64_t dsums = s_.N * S * Hs_, dh = a_.w_hr ? s_.N * Ps_ : 0;
    Workspace workspace(Workspace::bytes<Stored>(dsums) + Workspace::bytes<Stored>(dh) + bytes(cell) + bytes(carry));
    dsums_ = workspace.take<Stored>(dsums);
    dh_ = workspace.take<Stored>(dh);
    c0_ = workspace.take<T>(cell);
    carry_ = workspace.take<T>(carry);
    through_time(pool);
    weights(pool);
  }

 private:
  void through_time(const ThreadPool& pool) {
    const int64_t I = a_.dx && !a_.tokens.token ? a_.I : 0, columns = a_.P * kState.size + I * kIn.size;
    const double work = double(s_.N) * columns * a_.H;  // multiply-adds
    const int64_t depth = Product::depth(a_.H), depth_hr = Product::depth(a_.P);
    const bool fits = columns * depth * int64_t(sizeof(Value)) <= core_cache_bytes();
    const RecurrentTeam planned(pool.threads, work, s_.T, s_.B, Product::kManyRows, fits);
    const int threads = planned.threads;
    const bool share_rows = planned.share_rows;
    const Panels state(a_.P, L, threads), input(I, L, threads), hidden(a_.w_hr ? a_.H : 0, L, threads);
    const int64_t hh = state.vectors * kState.size * depth * L, ih = input.vectors * kIn.size * depth * L;
    const int64_t hr = hidden.vectors * depth_hr * L;
    Workspace workspace(Workspace::bytes<Value>(hh) + Workspace::bytes<Value>(ih) + Workspace::bytes<Value>(hr) +
                        Workspace::bytes<Row>((s_.B + kSliceRows) * threads));
    w_hh_ = workspace.take<Value>(hh);
    w_ih_ = workspace.take<Value>(ih);
    w_hr_ = workspace.take<Value>(hr);
    Row* tables = workspace.take<Row>((s_.B + kSliceRows) * threads);

    Team::run(pool, threads, work, [&](Team& team, int member, int size) {
      [[maybe_unused]] const typename Product::Session session;
      Share states(state.count, member, size), inputs(input.count, member, size), cells(hidden.count, member, size);
      pack<kState.size>(w_hh_, a_.w_hh, a_.H, a_.P, Cell::state_block, state, states);
      pack<kIn.size>(w_ih_, a_.w_ih, a_.H, I, Cell::input_block, input, inputs);
      pack<1>(w_hr_, a_.w_hr, a_.P, a_.H, Cell::state_block, hidden, cells);
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
          product<kIn.begin, kIn.size>(
              of, count, w_ih_, input, p,
              [&](const Row* r, int n, int64_t j, int v, const V* dx) { put(r, n, j, v, dx); });
      };
      for (int64_t s = s_.T - 1; s >= -1; --s) {
        const int64_t running = s + 1 < s_.T ? rows.count(s_.batch_size[s + 1]) : 0;  // those that take step s + 1 too
        const int64_t count = s >= 0 ? rows.count(s_.batch_size[s]) : running;
        for (int64_t i = 0; i < count; ++i) table[i] = row(rows[i], s, i < running);
        for (int64_t p = states.begin; p < states.end; ++p) {
          product<kState.begin, kState.size>(
              table, running, w_hh_, state, p,
              [&](const Row* r, int n, int64_t j, int v, const V* dh) { accept(r, n, j, v, dh); });
          const int64_t j = state.begin(p) * L;
          if (count > running)
            accept(table + running, int(count - running), j, int(state.begin(p + 1) - state.begin(p)), nullptr);
        }
        if (running > kPutOff<Product>) {
          make_dx(table, running);
        } else {
          std::copy(table, table + running, put_off + waiting);
          waiting += running;
        }
        if (waiting > kSliceRows - kPutOff<Product> || s < 0) make_dx(put_off, std::exchange(waiting, 0));
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
    const Stored *of_input = dsums_ + kIn.begin * Hs_, *of_state = dsums_ + kState.begin * Hs_;
    const WeightGradient<Product> state(pool, s_.N, of_state, S * Hs_, H, kState.size, Cell::state_block);
    if (a_.tokens.token) {
      state.run(h, P, a_.dw_hh, nullptr, 0, nullptr, kIn == kState ? a_.db_ih : a_.db_hh);
      input_of_tokens(pool, x);
    } else {
      for_places([&](int64_t n, int64_t place) { x[n] = a_.x + place; });
      if (kIn == kState) {
        state.run(x, a_.I, a_.dw_ih, h, P, a_.dw_hh, a_.db_ih);
      } else {
        WeightGradient<Product>(pool, s_.N, of_input, S * Hs_, H, kIn.size, Cell::input_block)
            .run(x, a_.I, a_.dw_ih, nullptr, 0, nullptr, a_.db_ih);
        state.run(h, P, a_.dw_hh, nullptr, 0, nullptr, a_.db_hh);
      }
    }
    if (!a_.w_hr) return;
    for (int64_t n = 0; n < s_.N; ++n) h[n] = a_.unprojected + n * H;
    WeightGradient<Product>(pool, s_.N, dh_, Ps_, P, 1, Cell::state_block)
        .run(h, H, a_.dw_hr, nullptr, 0, nullptr, nullptr);
  }

  // f(row in packed order, place in x) for all steps of all sequences.
  template <class F>
  void for_places(F&& f) const {
    for (int64_t t = 0; t < s_.T; ++t)
      for (int64_t b = 0, n = s_.first_row[t]; b < s_.batch_size[t]; ++b, ++n)
        f(n, a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[t]);
  }

  // dx and dw_ih from the sums of dsums for each distinct token. x: room for as many pointers.
  void input_of_tokens(const ThreadPool& pool, const T** x) const {
    constexpr int64_t kTokens = 6 * Product::kMaxRows;
    const int64_t distinct = a_.tokens.U, J = kIn.size * Hs_;
    const Panels input(a_.dx ? a_.I : 0, L, 1);
    const int64_t ih = input.vectors * kIn.size * Product::depth(a_.H) * L;
    Workspace workspace(Workspace::bytes<Stored>(distinct * J) + Workspace::bytes<Value>(ih) +
                        Workspace::bytes<int32_t>(distinct + 2) + Workspace::bytes<int32_t>(s_.N));
    Stored* sums = workspace.take<Stored>(distinct * J);
    Value* w_ih = workspace.take<Value>(ih);
    int32_t *end = workspace.take<int32_t>(distinct + 2), *rows = workspace.take<int32_t>(s_.N);
    std::fill(end, end + distinct + 2, 0);
    const int32_t* token = a_.tokens.token;
    for_places([&](int64_t, int64_t place) { ++end[token[place] + 2]; });
    for (int64_t u = 0; u < distinct; ++u) end[u + 2] += end[u + 1];
    for_places([&](int64_t n, int64_t place) { rows[end[token[place] + 1]++] = int32_t(n); });
    for_units(pool, input.count, [&](int64_t p) {
      pack<kIn.size>(w_ih, a_.w_ih, a_.H, a_.I, Cell::input_block, input, Share(input.count, int(p), int(input.count)));
    });
    for_units(pool, (distinct + kTokens - 1) / kTokens, [&](int64_t unit) {
      [[maybe_unused]] const typename Product::Session session;
      const int64_t begin = unit * kTokens, stop = std::min(distinct, begin + kTokens);
      Row table[kTokens];
      for (int64_t u = begin; u < stop; ++u) {
        sum_rows_of<Product>(sums + u * J, dsums_ + kIn.begin * Hs_, rows + end[u], end[u + 1] - end[u], J, S * Hs_);
        x[u] = a_.x + a_.tokens.distinct[u] * a_.I;
        table[u - begin].later = sums + u * J;
        table[u - begin].dx = a_.dx ? a_.dx + u * a_.I : nullptr;
      }
      for (int64_t p = 0; p < input.count; ++p)
        product<0, kIn.size>(table, stop - begin, w_ih, input, p,
                             [&](const Row* r, int n, int64_t j, int v, const V* dx) { put(r, n, j, v, dx); });
    });
    WeightGradient<Product>(pool, distinct, sums, J, a_.H, kIn.size, Cell::input_block)
        .run(x, a_.I, a_.dw_ih, nullptr, 0, nullptr, kIn == kState ? nullptr : a_.db_ih);
  }

  // The panels of one member of a matrix of blocks of H rows, each [blocks, depth of H, N, L] with block(i) in place i.
  template <int Blocks>
  static void pack(Value* to, const T* from, int64_t H, int64_t columns, int (*block)(int), const Panels& panels,
                   const Share& mine) {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t first = panels.begin(p) * L, width = panels.begin(p + 1) * L - first;
      const int64_t used = std::min(width, columns - first);
      Value *begin = to + first * Blocks * Product::depth(H), *panel = begin;
      for (int i = 0; i < Blocks; ++i)
        for (int64_t j = 0; j < stored<Product>(H); j += Product::kGroup, panel += width) {
          const T* row = from + (block(i) * H + j) * columns + first;
          const int64_t n = j < H ? used : 0;
          if (n) Product::gather(row, j + 1 < H ? row + columns : nullptr, n, panel);
          std::fill(panel + n, panel + width, Value(0));
        }
      Product::settle(begin, width / L, Blocks * Product::depth(H));
    }
  }

  // Initial cell state and carry in blocks of units; sequences without a step pass their gradients on.
  void start(int64_t b) {
    const int64_t q = s_.sequence[b];
    const bool cell = Cell::kCarry == math::Carry::kCell;
    if (Cell::kCell) to_blocks(a_.c0 + q * a_.H, a_.H, c0_ + b * U, s_.B * U);
    if (Cell::kCarry != math::Carry::kNone)
      to_blocks(cell && a_.dc_n ? a_.dc_n + q * a_.H : nullptr, a_.H, carry_ + b * U, s_.B * U);
    if (s_.length[b] == 0) copy_or_clear(a_.dh0 + q * a_.P, a_.dh_n ? a_.dh_n + q * a_.P : nullptr, a_.P);
  }
  void end(int64_t b) const {
    if constexpr (Cell::kCarry == math::Carry::kCell)
      for (int64_t j = 0; j < a_.H; j += U)
        std::memcpy(a_.dc0 + s_.sequence[b] * a_.H + j, carry_ + j * s_.B + b * U, std::min(U, a_.H - j) * sizeof(T));
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
      r.later = dsums_ + s_.row(b, s + 1) * S * Hs_;
      if (a_.dx && !a_.tokens.token)
        r.dx = a_.dx + a_.dx_layout.sequence_offset[b] + a_.dx_layout.step_offset[s_.time(b, s + 1)];
    }
    r.carry = carry_ + b * U;
    if (s < 0) {
      r.dh0 = a_.dh0 + q * a_.P;
      return r;
    }
    const int64_t n = s_.row(b, s);
    const bool dy = a_.dy || a_.dy_half;
    const int64_t of_dy = dy ? a_.dy_layout.sequence_offset[b] + a_.dy_layout.step_offset[s_.time(b, s)] : 0;
    if (a_.dy) r.dy = a_.dy + of_dy;
    if (a_.dy_half) r.dy_half = a_.dy_half + of_dy;
    if (a_.dh_n && s + 1 == s_.length[b]) r.dh_n = a_.dh_n + q * a_.P;
    r.kept = a_.kept + n * Cell::kKept * U;
    r.h_prev = a_.h_prev + n * a_.P;
    if (Cell::kCell) {
      r.c = a_.cells + n * U;
      r.c_prev = s > 0 ? a_.cells + s_.row(b, s - 1) * U : c0_ + b * U;
      r.c_prev_block = (s > 0 ? s_.N : s_.B) * U;
      if (a_.dc) r.dc = a_.dc + a_.dc_layout.sequence_offset[b] + a_.dc_layout.step_offset[s_.time(b, s)];
    }
    if (a_.w_hr) r.dh = dh_ + n * Ps_;
    r.dsums = dsums_ + n * S * Hs_;
    return r;
  }

  // use(rows, R, j, N, [R][N] vectors: columns j.. of a window of dsums of the next step x weights) for the first
  // `running` sequences and panel p of the weights.
  template <int First, int Size, class Use>
  void product(const Row* table, int64_t running, const Value* weights, const Panels& panels, int64_t p,
               Use&& use) const {
    const int64_t begin = panels.begin(p), depth = Size * Product::depth(a_.H);
    with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
      Product::for_row_tiles(0, running, [&](auto R, auto n, int64_t first) {
        const Value* dsums[R];
        for (int r = 0; r < n; ++r) dsums[r] = reinterpret_cast<const Value*>(table[first + r].later + First * Hs_);
        typename Product::template Tile<R, N> tile;
        tile.clear();
        Product::template accumulate<0, N>(tile, n, dsums, weights + begin * depth * L, depth);
        use(table + first, n, begin * L, N, &tile.acc[0][0]);
      });
    });
  }

  // Vectors of units j.. of the gradient of the output state, as far as it comes from the next step: [count][vectors],
  // or null for zeros.
  [[gnu::noinline, gnu::flatten]] void accept(const Row* rows, int count, int64_t j, int vectors, const V* dh) const {
    for (int r = 0; r < count; ++r) {
      const Row& row = rows[r];
      for (int v = 0; v < vectors; ++v) {
        const int64_t at = j + v * L, n = a_.P - at;
        V d = dh ? dh[r * vectors + v] : V{};
        if (row.dy) d += load(row.dy + at, n);
        if constexpr (Product::kRounds)
          if (row.dy_half) d += load_bfloat16(row.dy_half + at, n);
        if (row.dh_n) d += load(row.dh_n + at, n);
        if constexpr (Cell::kCarry == math::Carry::kState) d += load(row.carry + at / U * s_.B * U + at % U);
        if (row.dh0)
          store(row.dh0 + at, d, n);
        else if (row.dh)
          Product::write(row.dh + at, d, n);
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

  [[gnu::noinline, gnu::flatten]] void cells(const Row* rows, int count, int64_t j, int vectors, const V* dm) const {
    for (int r = 0; r < count; ++r)
      for (int v = 0; v < vectors; ++v) cell(rows[r], j + v * L, dm[r * vectors + v]);
  }

  void unproject(const Row* table, int64_t count, const Panels& panels, const Share& mine) const {
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      const int64_t begin = panels.begin(p);
      with_constant<kMaxVectors>(int(panels.begin(p + 1) - begin), [&](auto N) {
        Product::for_row_tiles(0, count, [&](auto R, auto n, int64_t first) {
          const Value* dh[R];
          for (int r = 0; r < n; ++r) dh[r] = reinterpret_cast<const Value*>(table[first + r].dh);
          typename Product::template Tile<R, N> tile;
          tile.clear();
          Product::template accumulate<0, N>(tile, n, dh, w_hr_ + begin * Product::depth(a_.P) * L,
                                             Product::depth(a_.P));
          cells(table + first, n, begin * L, N, &tile.acc[0][0]);
        });
      });
    }
  }

  // The cell's backward pass for one sequence and units j..
  [[gnu::always_inline]] inline void cell(const Row& row, int64_t j, const V& dh) const {
    const int64_t block = j / U, at = j % U, n = a_.H - j;
    const T* from = row.kept + block * s_.N * Cell::kKept * U + at;
    T* carry_at = row.carry + block * s_.B * U + at;
    V kept[Cell::kKept], h_prev{}, c_prev{}, c{}, carry{}, dsum[S];
    for (int i = 0; i < Cell::kKept; ++i) kept[i] = load(from + i * U);
    if constexpr (Cell::kReadsState) h_prev = load(row.h_prev + j, n);
    if constexpr (Cell::kCell) {
      c_prev = load(row.c_prev + block * row.c_prev_block + at);
      c = load(row.c + block * s_.N * U + at);
    }
    if constexpr (Cell::kCarry == math::Carry::kCell) {
      carry = load(carry_at);
      if (row.dc) carry += load(row.dc + j, n);
    }
    Cell::template backward<typename Product::Math>(kept, h_prev, c_prev, c, dh, carry, dsum);
    if constexpr (Cell::kCarry != math::Carry::kNone) store(carry_at, carry);
    for (int i = 0; i < S; ++i) Product::write(row.dsums + i * Hs_ + j, dsum[i], n);
  }

  const RecurrentBackward<T>& a_;
  const Schedule& s_;
  const int64_t Hs_, Ps_;  // H and P as rows of factors have them
  Stored* dsums_;          // [N, S, Hs] gradients of the sums, packed order
  Stored* dh_;             // [N, Ps] gradients of the projected states, packed order, with a projection
  T* c0_;                  // [blocks, B, U], of cells that have a cell state
  T* carry_;               // [blocks, B, U]
  Value* w_hh_;            // packed [panels, window, depth of H, N, L]
  Value* w_ih_;            // packed [panels, window, depth of H, N, L]
  Value* w_hr_;            // packed [panels, depth of P, N, L]
};

template <class Cell, class T>
void recurrent_backward(const ThreadPool& pool, const RecurrentBackward<T>& args) {
  RecurrentBackwardKernel<Cell, Exact<T>>(args).run(pool);
}
template <class Cell>
void recurrent_backward_bfloat16(const ThreadPool& pool, const RecurrentBackward<float>& args) {
  RecurrentBackwardKernel<Cell, Bfloat16>(args).run(pool);
}

}  // namespace TEXTNN_ISA
