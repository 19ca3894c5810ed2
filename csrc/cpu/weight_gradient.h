// The gradients of weights as one product over all N rows, for one instruction set (included through foreach_isa.h).
//
//   dw [J, K]  =  g^T [J, N]  x  a [N, K]            db [J] = sum of the rows of g
//
// A unit of work is a panel of at most 4 vectors of columns of g; it goes through the rows in blocks that fit the
// cache:
//
//   g[block, panel] packed  ->  for every few columns k of a:  tile [k..][panel] += a[n, k] * g[n, panel]  over the
//   block
//
// The rows of `a` are given by a function, so they need not lie in one matrix, and nothing is gathered.

namespace TEXTNN_ISA {

template <class T>
class WeightGradient {
  static constexpr int64_t L = kLanes<T>;
  static constexpr int64_t kBlock = 256;

 public:
  // g [N, J]
  WeightGradient(const ThreadPool& pool, int64_t N, int64_t J, const T* g)
      : pool_(pool), N_(N), J_(J), g_(g), panels_(J, L, pool.threads) {}

  // row_0(n), row_1(n): the n-th rows of two matrices with K_0 and K_1 columns; dw_0 [J, K_0], dw_1 [J, K_1], db [J]
  // may be null.
  template <class Row0, class Row1>
  void run(Row0&& row_0, int64_t K_0, T* dw_0, Row1&& row_1, int64_t K_1, T* dw_1, T* db) const {
    for_units(pool_, panels_.count, [&](int64_t p) {
      const int64_t vectors = panels_.begin(p + 1) - panels_.begin(p);
      with_constant<kMaxVectors>(int(vectors), [&](auto V) {
        const int64_t width = V * L, first = panels_.begin(p) * L;
        Workspace workspace(Workspace::bytes<T>((K_0 + K_1 + 1) * width) + Workspace::bytes<T>(kBlock * width));
        T* sums = workspace.take<T>((K_0 + K_1 + 1) * width);  // [K_0 + K_1 + 1, V, L]
        T* panel = workspace.take<T>(kBlock * width);          // [kBlock, V, L]
        std::fill(sums, sums + (K_0 + K_1 + 1) * width, T(0));
        for (int64_t begin = 0; begin < N_; begin += kBlock) {
          const int64_t end = std::min(N_, begin + kBlock);
          pack<V>(panel, sums + (K_0 + K_1) * width, begin, end, first);
          accumulate<V>(sums, panel, row_0, K_0, begin, end);
          accumulate<V>(sums + K_0 * width, panel, row_1, K_1, begin, end);
        }
        const int64_t used = std::min(width, J_ - first);
        if (dw_0) transpose(sums, width, dw_0 + first * K_0, K_0, K_0, used);
        if (dw_1) transpose(sums + K_0 * width, width, dw_1 + first * K_1, K_1, K_1, used);
        if (db) std::copy(sums + (K_0 + K_1) * width, sums + (K_0 + K_1) * width + used, db + first);
      });
    });
  }

 private:
  // Rows [begin, end) of the panel's columns one behind the other, and their sum.
  template <int V>
  void pack(T* panel, T* bias, int64_t begin, int64_t end, int64_t first) const {
    Vec<T> sum[V];
    for (int v = 0; v < V; ++v) sum[v] = load(bias + v * L);
    for (int64_t n = begin; n < end; ++n, panel += V * L)
      for (int v = 0; v < V; ++v) {
        const int64_t column = first + v * L;
        const Vec<T> g = load(g_ + n * J_ + column, J_ - column);
        store(panel + v * L, g);
        sum[v] += g;
      }
    for (int v = 0; v < V; ++v) store(bias + v * L, sum[v]);
  }

  template <int V, class Row>
  void accumulate(T* sums, const T* panel, Row&& row, int64_t K, int64_t begin, int64_t end) const {
    const T* rows[kBlock];
    for (int64_t n = begin; n < end; ++n) rows[n - begin] = row(n);
    for_row_tiles(0, K, [&](auto R, int64_t k) {
      Tile<T, R, V> tile;
      T* to = sums + k * V * L;
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) tile.acc[r][v] = load(to + (r * V + v) * L);
      const T* g = panel;
      for (int64_t n = 0; n < end - begin; ++n, g += V * L) {
        const T* a = rows[n] + k;
        Vec<T> w[V];
        for (int v = 0; v < V; ++v) w[v] = load(g + v * L);
        for (int r = 0; r < R; ++r)
          for (int v = 0; v < V; ++v) tile.acc[r][v] += a[r] * w[v];
      }
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(to + (r * V + v) * L, tile.acc[r][v]);
    });
  }

  const ThreadPool& pool_;
  const int64_t N_, J_;
  const T* g_;
  const Panels panels_;
};

}  // namespace TEXTNN_ISA
