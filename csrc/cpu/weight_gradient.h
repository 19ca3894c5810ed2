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
// The rows of `a` are given by pointers, so they need not lie in one matrix. Product is the precision of the product
// (precision.h): g has been rounded to it, `a` is rounded as it is copied, and where factors go in pairs these are
// those of two rows. Where it has tiles of its own, which read rows of factors, the copy is transposed.

namespace TEXTNN_ISA {

template <class Product>
class WeightGradient {
  using T = typename Product::T;
  using Value = typename Product::Value;
  using Stored = typename Product::Stored;
  static constexpr int64_t L = kLanes<T>, kGroup = Product::kGroup;
  // Values of a block: a packed panel of 4 vectors then takes 32 KiB of a first-level cache in AVX-512, else less.
  static constexpr int64_t kBlock = 128, kAcross = kBlock + 16;  // and from row to row of a transposed copy

 public:
  // g: N rows of blocks * stored(H) factors that stand `stride` apart. Block i of the columns belongs to block order(i)
  // of dw.
  WeightGradient(const ThreadPool& pool, int64_t N, const Stored* g, int64_t stride, int64_t H, int blocks,
                 int (*order)(int))
      : pool_(pool),
        N_(N),
        J_(stored<Product>(H) * blocks),
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
      const int64_t a_size = Product::kTiles ? K * kAcross + L * stride : kBlock * stride;
      Workspace workspace(Workspace::bytes<T>((K + 1) * vectors * L) +
                          Workspace::bytes<Value>(kBlock * kMaxVectors * L) + Workspace::bytes<Value>(a_size));
      T* sums = workspace.take<T>((K + 1) * vectors * L);  // for each panel [K + 1, vectors, L]
      Value* panel = workspace.take<Value>(kBlock * kMaxVectors * L);
      Value* a = workspace.take<Value>(a_size);
      [[maybe_unused]] const typename Product::Session session;
      std::memset(sums, 0, (K + 1) * vectors * L * sizeof(T));
      for (int64_t begin = 0; begin < N_; begin += kBlock * kGroup) {
        const int64_t rows = std::min(kBlock * kGroup, N_ - begin), depth = Product::depth(rows);
        // The d-th Value of all columns.
        const auto copy = [&](int64_t d, Value* to) {
          const int64_t n = begin + d * kGroup, next = n + 1 < begin + rows ? n + 1 : -1;
          if (n >= begin + rows) return std::fill(to, to + K, Value(0));
          Product::gather(rows_0[n], next < 0 ? nullptr : rows_0[next], K_0, to);
          if (K_1) Product::gather(rows_1[n], next < 0 ? nullptr : rows_1[next], K_1, to + K_0);
        };
        for (int64_t d = 0; d < depth; ++d)
          if constexpr (!Product::kTiles) {
            copy(d, a + d * stride);
          } else {
            Value* some = a + K * kAcross;  // [L, stride]
            copy(d, some + d % L * stride);
            if (d % L == L - 1) Product::transpose_tiles(some, stride, K, a + d / L * L, kAcross);
          }
        for (int64_t p = mine.begin; p < mine.end; ++p)
          with_constant<kMaxVectors>(int(panels_.begin(p + 1) - panels_.begin(p)), [&](auto V) {
            T* to = sums + (panels_.begin(p) - first) * (K + 1) * L;
            pack<V>(panel, to + K * V * L, g_ + begin * stride_, rows, panels_.begin(p) * L);
            accumulate<V>(to, panel, a, Product::kTiles ? kAcross : stride, K, depth);
          });
      }
      for (int64_t p = mine.begin; p < mine.end; ++p) {
        const int64_t column = panels_.begin(p) * L, width = (panels_.begin(p + 1) - panels_.begin(p)) * L;
        const T* from = sums + (panels_.begin(p) - first) * (K + 1) * L;
        // A panel may reach over the end of a block.
        for (int64_t c = column, n; c < std::min(column + width, J_); c += n) {
          const int64_t block = c / stored<Product>(H_), at = c % stored<Product>(H_),
                        row = order_(int(block)) * H_ + at;
          n = std::min({column + width, J_, (block + 1) * stored<Product>(H_)}) - c;
          const int64_t used = std::min(n, H_ - at);
          if (used <= 0) continue;  // behind the columns of the block
          const T* columns = from + (c - column);
          if (dw_0) transpose(columns, width, dw_0 + row * K_0, K_0, K_0, used);
          if (dw_1) transpose(columns + K_0 * width, width, dw_1 + row * K_1, K_1, K_1, used);
          if (db) std::copy(columns + K * width, columns + K * width + used, db + row);
        }
      }
    });
  }

 private:
  // The panel's columns of some rows of g one behind the other, and their sum.
  template <int V>
  void pack(Value* panel, T* bias, const Stored* g, int64_t rows, int64_t column) const {
    Vec<T> sum[V];
    for (int v = 0; v < V; ++v) sum[v] = load(bias + v * L);
    Value* to = panel;
    for (int64_t n = 0; n < rows; n += kGroup, g += kGroup * stride_, to += V * L)
      for (int v = 0; v < V; ++v) {
        const Stored* at = g + column + v * L;
        const Vec<Value> value = Product::gather_stored(at, n + 1 < rows ? at + stride_ : nullptr, J_ - column - v * L);
        store(to + v * L, value);
        sum[v] = Product::add(sum[v], value);
      }
    const int64_t depth = Product::depth(rows);
    std::fill(to, panel + depth * V * L, Value(0));
    Product::settle(panel, V, depth);
    for (int v = 0; v < V; ++v) store(bias + v * L, sum[v]);
  }

  // a: [depth][stride], or [K][stride] across.
  template <int V>
  static void accumulate(T* sums, const Value* panel, const Value* a, int64_t stride, int64_t K, int64_t depth) {
    Product::for_row_tiles(0, K, [&](auto R, auto rows, int64_t k) {
      typename Product::template Tile<R, V> tile;
      T* to = sums + k * V * L;
      begin(tile, rows, to);
      if constexpr (Product::kTiles) {
        const Value* from[R];
        for (int r = 0; r < rows; ++r) from[r] = a + (k + r) * stride;
        Product::template accumulate<0, V>(tile, rows, from, panel, depth);
      } else {
        const Value *g = panel, *from = a + k;
        for (int64_t d = 0; d < depth; ++d, g += V * L, from += stride) {
          __builtin_prefetch(from + 8 * stride);
          Vec<Value> w[V];
          for (int v = 0; v < V; ++v) w[v] = load(g + v * L);
          for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v)
              if constexpr (kGroup == 1)
                tile.acc[r][v] += from[r] * w[v];
              else
                Product::multiply_add(tile.acc[r][v], from + r, w[v]);
        }
      }
      end(tile, rows, to);
    });
  }

  // To and from a tile. GCC keeps its vectors in registers only if those of pairs are copied one by one, and those of T
  // as a whole.
  template <class Tile, class Count>
  [[gnu::always_inline]] static inline void begin(Tile& tile, Count rows, const T* sums) {
    constexpr int V = sizeof tile.acc[0] / sizeof tile.acc[0][0];
    if constexpr (kGroup == 1)
      std::memcpy(tile.acc, sums, sizeof tile.acc);
    else
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < V; ++v) tile.acc[r][v] = load(sums + (r * V + v) * L);
  }
  template <class Tile, class Count>
  [[gnu::always_inline]] static inline void end(const Tile& tile, Count rows, T* sums) {
    constexpr int V = sizeof tile.acc[0] / sizeof tile.acc[0][0];
    if constexpr (kGroup == 1)
      std::memcpy(sums, tile.acc, sizeof tile.acc);
    else
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < V; ++v) store(sums + (r * V + v) * L, tile.acc[r][v]);
  }

  const ThreadPool& pool_;
  const int64_t N_, J_, H_, stride_;
  const Stored* g_;
  int (*const order_)(int);
  const Panels panels_;
};

}  // namespace TEXTNN_ISA
