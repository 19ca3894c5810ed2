// The gradients of weights as one product over all N rows, for one instruction set (included through foreach_isa.h).
//
//   dw [J, K]  =  g^T [J, N]  x  a [N, K]            db [J] = sum of the rows of g
//
// J is some blocks of H columns of g, and the rows of dw stand block by block in an order of their own.
//
// A member of the team owns panels of at most 4 vectors of columns of g and goes through the rows in blocks; for each
// block
//
//   a[block]         copied, so that its rows lie close together              second-level cache
//   g[block, panel]  packed                                                   first-level cache
//   for every few columns k of a:  tile [k..][panel] += a[n, k] * g[n, panel] over the block
//
// The rows of `a` are given by pointers, so they need not lie in one matrix.

namespace TEXTNN_ISA {

template <class T>
class WeightGradient {
  static constexpr int64_t L = kLanes<T>;
  // Rows of a block: a packed panel of 4 vectors then takes 32 KiB of a first-level cache in AVX-512, else less.
  static constexpr int64_t kBlock = 128;

 public:
  // g: N rows of blocks * H values that stand `stride` apart. Block i of the columns belongs to block order(i) of dw.
  WeightGradient(const ThreadPool& pool, int64_t N, const T* g, int64_t stride, int64_t H, int blocks,
                 int (*order)(int))
      : pool_(pool),
        N_(N),
        J_(H * blocks),
        H_(H),
        stride_(stride),
        g_(g),
        order_(order),
        panels_(J_, L, pool.threads) {}

  // rows_0, rows_1: pointers to the N rows of two matrices with K_0 and K_1 columns; dw_0 [J, K_0], dw_1 [J, K_1] and
  // db [J] may be null.
  void run(const T* const* rows_0, int64_t K_0, T* dw_0, const T* const* rows_1, int64_t K_1, T* dw_1, T* db) const {
    const int64_t parts = std::min<int64_t>(pool_.threads, panels_.count), K = K_0 + K_1;
    // An odd number of cache lines from row to row, so that the rows spread over all sets of the cache.
    const int64_t line = 64 / int64_t(sizeof(T)), stride = ((K + line - 1) / line | 1) * line;
    for_units(pool_, parts, [&](int64_t part) {
      const Share mine(panels_.count, int(part), int(parts));
      const int64_t first = panels_.begin(mine.begin), vectors = panels_.begin(mine.end) - first;
      Workspace workspace(Workspace::bytes<T>((K + 1) * vectors * L) + Workspace::bytes<T>(kBlock * kMaxVectors * L) +
                          Workspace::bytes<T>(kBlock * stride));
      T* sums = workspace.take<T>((K + 1) * vectors * L);  // for each panel [K + 1, vectors, L]
      T* panel = workspace.take<T>(kBlock * kMaxVectors * L);
      T* a = workspace.take<T>(kBlock * stride);
      std::memset(sums, 0, (K + 1) * vectors * L * sizeof(T));
      for (int64_t begin = 0; begin < N_; begin += kBlock) {
        const int64_t rows = std::min(kBlock, N_ - begin);
        for (int64_t n = 0; n < rows; ++n) {
          std::memcpy(a + n * stride, rows_0[begin + n], K_0 * sizeof(T));
          if (K_1) std::memcpy(a + n * stride + K_0, rows_1[begin + n], K_1 * sizeof(T));
        }
        for (int64_t p = mine.begin; p < mine.end; ++p)
          with_constant<kMaxVectors>(int(panels_.begin(p + 1) - panels_.begin(p)), [&](auto V) {
            T* to = sums + (panels_.begin(p) - first) * (K + 1) * L;
            pack<V>(panel, to + K * V * L, g_ + begin * stride_, rows, panels_.begin(p) * L);
            accumulate<V>(to, panel, a, stride, K, rows);
          });
      }
      for (int64_t p = mine.begin; p < mine.end; ++p) {
        const int64_t column = panels_.begin(p) * L, width = (panels_.begin(p + 1) - panels_.begin(p)) * L;
        const T* from = sums + (panels_.begin(p) - first) * (K + 1) * L;
        // A panel may reach over the end of a block.
        for (int64_t c = column, n; c < std::min(column + width, J_); c += n) {
          n = std::min({column + width, J_, (c / H_ + 1) * H_}) - c;
          const int64_t row = order_(int(c / H_)) * H_ + c % H_;
          const T* columns = from + (c - column);
          if (dw_0) transpose(columns, width, dw_0 + row * K_0, K_0, K_0, n);
          if (dw_1) transpose(columns + K_0 * width, width, dw_1 + row * K_1, K_1, K_1, n);
          if (db) std::copy(columns + K * width, columns + K * width + n, db + row);
        }
      }
    });
  }

 private:
  // The panel's columns of some rows of g one behind the other, and their sum.
  template <int V>
  void pack(T* panel, T* bias, const T* g, int64_t rows, int64_t column) const {
    Vec<T> sum[V];
    for (int v = 0; v < V; ++v) sum[v] = load(bias + v * L);
    for (int64_t n = 0; n < rows; ++n, g += stride_, panel += V * L)
      for (int v = 0; v < V; ++v) {
        const Vec<T> value = load(g + column + v * L, J_ - column - v * L);
        store(panel + v * L, value);
        sum[v] += value;
      }
    for (int v = 0; v < V; ++v) store(bias + v * L, sum[v]);
  }

  template <int V>
  static void accumulate(T* sums, const T* panel, const T* a, int64_t stride, int64_t K, int64_t rows) {
    for_row_tiles(0, K, [&](auto R, int64_t k) {
      Tile<T, R, V> tile;
      T* to = sums + k * V * L;
      std::memcpy(tile.acc, to, sizeof tile.acc);
      const T *g = panel, *from = a + k;
      for (int64_t n = 0; n < rows; ++n, g += V * L, from += stride) {
        __builtin_prefetch(from + 8 * stride);
        Vec<T> w[V];
        for (int v = 0; v < V; ++v) w[v] = load(g + v * L);
        for (int r = 0; r < R; ++r)
          for (int v = 0; v < V; ++v) tile.acc[r][v] += from[r] * w[v];
      }
      std::memcpy(to, tile.acc, sizeof tile.acc);
    });
  }

  const ThreadPool& pool_;
  const int64_t N_, J_, H_, stride_;
  const T* g_;
  int (*const order_)(int);
  const Panels panels_;
};

}  // namespace TEXTNN_ISA
