// The matrix product that everything here is made of, for one instruction set (included through foreach_isa.h).
//
//   acc[R rows][N vectors] += rows[R][K] * panel[K][N vectors]
//
// The R x N accumulators stay in registers: at most 6 x 4 of 32 registers, 3 x 4 of 16. Of NEON's 32 registers 5 x 4,
// as factors of a row take one each there (no operand stands in memory). The rows are given by pointers, so they may
// lie anywhere (gathered embeddings, overlapping windows of a sentence, states of a shrinking batch). A panel is packed
// so that the loop reads it in order: [K][N][lanes]. What becomes of the accumulators is the caller's business: gates,
// maxima, plain stores.

namespace TEXTNN_ISA {

constexpr int kMaxRows = TEXTNN_REGISTERS == 16 ? 3 : kVectorBytes == 16 ? 5 : 6;
constexpr int kMaxVectors = 4;
constexpr int kAhead = 8;  // rows of a panel that are fetched ahead: it streams from the second-level cache
// Vectors for which one is fetched: with the shortest ones those of a cache line, else each.
constexpr int kFetched = kVectorBytes == 16 ? 4 : 1;

template <int N>
using Const = std::integral_constant<int, N>;

template <class T, int R, int N>
struct Tile {
  Vec<T> acc[R][N];

  [[gnu::always_inline]] inline void clear() {
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N; ++n) acc[r][n] = Vec<T>{};
  }

  // A panel of fewer vectors adds to those of the accumulators that begin with `First`. Product says how other values
  // than T are multiplied (precision.h).
  template <int First = 0, int M = N, class Product = void, class Value = T>
  [[gnu::always_inline]] inline void multiply_add(const Value* const (&rows)[R], const Value* panel, int64_t K) {
    constexpr int64_t L = kLanes<Value>;
    for (int64_t k = 0; k < K; ++k, panel += M * L) {
      for (int n = 0; n < M; n += kFetched) __builtin_prefetch(panel + (kAhead * M + n) * L);
      Vec<Value> w[M];
      for (int n = 0; n < M; ++n) w[n] = load(panel + n * L);
      for (int r = 0; r < R; ++r) {
        if constexpr (std::is_same_v<Value, T>) {
          const T x = rows[r][k];
          for (int n = 0; n < M; ++n) acc[r][First + n] += x * w[n];
        } else {
          for (int n = 0; n < M; ++n) Product::multiply_add(acc[r][First + n], rows[r] + k, w[n]);
        }
      }
    }
  }
};

// body(Const<n>{}) for a run-time n in 1..Max.
template <int Max, class F>
[[gnu::always_inline]] inline void with_constant(int n, F&& body) {
  if constexpr (Max == 1) {
    body(Const<1>{});
  } else {
    if (n == Max)
      body(Const<Max>{});
    else
      with_constant<Max - 1>(n, body);
  }
}

// body(Const<R>{}, first) for groups of at most kMaxRows rows that cover [begin, end), as equal in size as they can be.
template <class F>
[[gnu::always_inline]] inline void for_row_tiles(int64_t begin, int64_t end, F&& body) {
  int64_t tiles = (end - begin + kMaxRows - 1) / kMaxRows;
  for (int64_t first = begin; tiles > 0; --tiles) {
    const int rows = int((end - first + tiles - 1) / tiles);
    with_constant<kMaxRows>(rows, [&](auto R) { body(R, first); });
    first += rows;
  }
}

// How a precision (precision.h) multiplies with the tiles above.
template <class Product, class T>
struct InRegisters {
  static constexpr bool kTiles = false;                  // whether it has tiles of its own
  static constexpr int kMaxRows = TEXTNN_ISA::kMaxRows;  // of a tile
  static constexpr int64_t kManyRows = 2 * kMaxRows;     // of a member that has rows of its own
  template <int R, int N>
  using Tile = TEXTNN_ISA::Tile<T, R, N>;
  struct Session {
    Session() {}
  };

  template <class F>
  [[gnu::always_inline]] static inline void for_row_tiles(int64_t begin, int64_t end, F&& body) {
    TEXTNN_ISA::for_row_tiles(begin, end, [&](auto R, int64_t first) { body(R, R, first); });
  }
  template <int First, int M, int R, int N, class Value>
  [[gnu::always_inline]] static inline void accumulate(TEXTNN_ISA::Tile<T, R, N>& tile, Const<R>,
                                                       const Value* const (&rows)[R], const Value* panel,
                                                       int64_t depth) {
    tile.template multiply_add<First, M, Product>(rows, panel, depth);
  }
  template <class Value>
  static void settle(Value*, int64_t, int64_t) {}
};

// Columns in panels of at most `widest` vectors, nearly equal in width so that a team can share them out fairly.
struct Panels {
  int64_t vectors, count;
  Panels(int64_t columns, int64_t lanes, int64_t members, int64_t widest = kMaxVectors)
      : vectors((columns + lanes - 1) / lanes) {
    count = (vectors + widest - 1) / widest;
    count = std::min(vectors, (count + members - 1) / members * members);
  }
  int64_t begin(int64_t p) const { return count ? p * vectors / count : 0; }  // first vector of panel p
};

// to[c][r] = from[r][c], square by square in registers.
template <class T>
inline void transpose(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t rows, int64_t columns) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t r = 0; r < rows; r += L)
    for (int64_t c = 0; c < columns; c += L) {
      const int64_t R = std::min(L, rows - r), C = std::min(L, columns - c);
      Vec<T> square[L];
      for (int64_t i = 0; i < L; ++i) square[i] = i < R ? load(from + (r + i) * from_stride + c, C) : Vec<T>{};
      transpose_square<T>(square);
      for (int64_t i = 0; i < C; ++i) store(to + (c + i) * to_stride + r, square[i], R);
    }
}

// Packs columns [first, first + N * lanes) of a matrix [K][columns] into a panel [K][N][lanes]; columns from `columns`
// on become zero. The matrix has contiguous rows.
template <class T>
inline void pack_panel(T* panel, const T* matrix, int64_t K, int64_t first, int64_t columns, int64_t N) {
  const int64_t width = N * kLanes<T>, used = std::min(width, columns - first);
  for (int64_t k = 0; k < K; ++k, panel += width) {
    std::memcpy(panel, matrix + k * columns + first, used * sizeof(T));
    std::fill(panel + used, panel + width, T(0));
  }
}

// The same of a matrix that is stored transposed, [columns][K].
template <class T>
inline void pack_panel_transposed(T* panel, const T* matrix, int64_t K, int64_t first, int64_t columns, int64_t N) {
  const int64_t width = N * kLanes<T>, used = std::min(width, columns - first);
  transpose(matrix + first * K, K, panel, width, used, K);
  for (int64_t k = 0; used < width && k < K; ++k) std::fill(panel + k * width + used, panel + (k + 1) * width, T(0));
}

}  // namespace TEXTNN_ISA
