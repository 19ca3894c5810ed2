// Products of bfloat16 in the tiles of AMX: another policy of precision.h, for sets that have them (included through
// foreach_isa.h).
//
//   registers   0 .. 3   16 x 16 sums, float32      2 x 2 of them for up to 32 rows and 2 vectors, else 1 x 4
//               4, 5     16 rows x 16 pairs of factors
//               6, 7     16 pairs deep x 16 columns of a panel
//
// One shape of all tiles serves everything: rows of factors and panels are filled up with zeros to whole tiles in depth
// (16 pairs), and where rows are missing zeros are loaded in their place. So a thread sets the shape when it begins to
// multiply and never changes it; it gives the tiles back when it ends, as the system would otherwise save 8 KiB of them
// at every switch of threads.
//
// Sums stand in memory between two products, [rows][vectors][L] as those of a tile in registers: what becomes of them
// is the same code.

namespace TEXTNN_ISA {

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Initialised before anything runs: GCC does not know that the instruction reads all of it.
inline constexpr TileShapes kTileShapes;

struct Tiles : Pairs {
  static constexpr bool kTiles = true;
  static constexpr int kMaxRows = 32;
  static constexpr int64_t kManyRows = 32;
  static constexpr int kVectorRows = 2;  // which vectors multiply as fast: a tile takes as long for one row as for 16
  static constexpr int64_t kSide = 16, kTile = kSide * kSide;           // rows of a tile, and Values of a row; of all
  static constexpr int64_t kFactors = kSide * kGroup;                   // of a row
  static constexpr int64_t kRowBytes = kSide * int64_t(sizeof(Value));  // of a tile
  static constexpr int64_t depth(int64_t K) { return (K + kFactors - 1) / kFactors * kSide; }

  template <int R, int N>
  struct Tile {
    V acc[R][N];
    bool zero = false;  // in the place of acc

    void clear() { zero = true; }
  };

  struct Session {
    Session() { _tile_loadconfig(&kTileShapes); }
    ~Session() { _tile_release(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  template <class F>
  [[gnu::always_inline]] static inline void for_row_tiles(int64_t begin, int64_t end, F&& body) {
    for (int64_t first = begin; first < end; first += kMaxRows)
      body(Const<kMaxRows>{}, int(std::min<int64_t>(kMaxRows, end - first)), first);
  }

  // Rows of factors begin at a cache line, and v at a whole vector of one.
  [[gnu::always_inline]] static inline void write(Stored* to, const V& v, int64_t n) {
    Half h = narrow(v);
    if (n < L)
      for (int64_t i = n; i < L; ++i) h[i] = 0;
    __builtin_memcpy(to, &h, sizeof h);
    const bool half = reinterpret_cast<uintptr_t>(to) % uintptr_t(kRowBytes) == 0;
    if (n <= L && half) std::memset(to + L, 0, sizeof h);  // the rest of a row's last tile
  }
  static void round(const float* from, int64_t K, Value* to) {
    Stored* stored = reinterpret_cast<Stored*>(to);
    for (int64_t k = 0; k < K; k += L) write(stored + k, load(from + k, K - k), K - k);
  }
  static void transpose_rows(const float* from, int64_t K, Value* to, int64_t to_stride, int64_t n) {
    transpose_pairs(from, K, depth(K), to, to_stride, n);
  }

  // From [depth][N][L] to tiles, [depth / 16][N][16][L].
  static void settle(Value* panel, int64_t N, int64_t depth) {
    Value tiles[kMaxVectors * kTile];
    if (N == 1) return;
    for (int64_t d = 0; d < depth; d += kSide, panel += N * kTile) {
      for (int64_t i = 0; i < kSide; ++i)
        for (int64_t n = 0; n < N; ++n) store(tiles + (n * kSide + i) * L, load(panel + (i * N + n) * L));
      std::memcpy(panel, tiles, size_t(N * kTile) * sizeof(Value));
    }
  }

  // to[k][r] = from[r][k], for 16 rows of K Values, up to whole tiles in memory.
  static void transpose_tiles(const Value* from, int64_t from_stride, int64_t K, Value* to, int64_t to_stride) {
    for (int64_t k = 0; k < K; k += L) {
      V square[L];
      for (int64_t i = 0; i < L; ++i) __builtin_memcpy(&square[i], from + i * from_stride + k, sizeof square[i]);
      transpose_square<float>(square);
      for (int64_t i = 0; i < std::min(L, K - k); ++i)
        __builtin_memcpy(to + (k + i) * to_stride, &square[i], sizeof square[i]);
    }
  }

  // The first `n` of R rows.
  template <int First, int M, int R, int N>
  static void accumulate(Tile<R, N>& tile, int n, const Value* const (&rows)[R], const Value* panel, int64_t depth) {
    static_assert(R == kMaxRows);
    for (int r = n; n > kVectorRows && !tile.zero && r < (n + kSide - 1) / kSide * kSide; ++r)
      for (int m = 0; m < M; ++m) tile.acc[r][First + m] = V{};
    multiply<M>(&tile.acc[0][First], N, n, rows, panel, depth, tile.zero);
    tile.zero = false;
  }

  // M vectors of whole tiles of sums, of which a row has N; `zero`: in their place.
  template <int M>
  static void multiply(V* sums, int64_t N, int n, const Value* const* rows, const Value* panel, int64_t depth,
                       bool zero) {
    if (n <= kVectorRows)
      return with_constant<kVectorRows>(n, [&](auto R) { few<R, M>(sums, N, rows, panel, depth, zero); });
    Factors factors(rows, n);
    barrier();  // what has been written may be read: GCC does not know it of the instructions
    if (n <= kSide) {
      block<1, M>(sums, N, factors, panel, M, depth, zero);
    } else {
      block<2, std::min(M, 2)>(sums, N, factors, panel, M, depth, zero);
      if constexpr (M > 2) block<2, M - 2>(sums + 2, N, factors, panel + 2 * kTile, M, depth, zero);
    }
    barrier();
  }

 private:
  [[gnu::always_inline]] static inline void barrier() { __asm__ volatile("" ::: "memory"); }

  // One or two tiles of factors at every step: read in place where whole tiles of rows stand at one distance, else
  // copied.
  class Factors {
   public:
    Factors(const Value* const* rows, int n) : rows_(rows), n_(n) {
      for (int side = 0; side * kSide < n; ++side) {
        const Value* const* of = rows + side * kSide;
        const int count = std::min(int(kSide), n - side * int(kSide));
        const int64_t distance = (reinterpret_cast<intptr_t>(of[1 % count]) - reinterpret_cast<intptr_t>(of[0]));
        bool even = count == kSide;
        for (int r = 2; even && r < kSide; ++r)
          even = reinterpret_cast<intptr_t>(of[r]) - reinterpret_cast<intptr_t>(of[r - 1]) == distance;
        bytes_[side] = even ? distance : 0;
        if (!even) std::memset(copy_[side] + count * kSide, 0, size_t((kSide - count) * kRowBytes));
      }
    }
    // Where the tile of `side` stands at the d-th Value, and the bytes from row to row.
    [[gnu::always_inline]] inline const Value* at(int side, int64_t d, int64_t& bytes) {
      bytes = bytes_[side];
      if (bytes) return rows_[side * kSide] + d;
      bytes = kRowBytes;
      return copy(side, d);
    }

   private:
    [[gnu::noinline]] const Value* copy(int side, int64_t d) {
      const int count = std::min(int(kSide), n_ - side * int(kSide));
      for (int r = 0; r < count; ++r)
        std::memcpy(copy_[side] + r * kSide, rows_[side * kSide + r] + d, size_t(kRowBytes));
      barrier();
      return copy_[side];
    }

    const Value* const* rows_;
    const int n_;
    int64_t bytes_[2];  // 0: to be copied
    alignas(64) Value copy_[2][kTile];
  };

  // The sums of R rows with vectors, bit for bit those of tiles: the first factors of a tile's pairs and the second
  // ones are added up apart.
  template <int R, int M>
  [[gnu::noinline]] static void few(V* sums, int64_t N, const Value* const* rows, const Value* panel, int64_t depth,
                                    bool zero) {
    using Bits = Vec<uint32_t>;
    for (int r = 0; zero && r < R; ++r)
      for (int m = 0; m < M; ++m) sums[r * N + m] = V{};
    for (int64_t d = 0; d < depth; d += kSide, panel += M * kTile) {
      V first[R][M] = {}, second[R][M] = {};
      for (int64_t i = 0; i < kSide; ++i) {
        V x[R][2];
        for (int r = 0; r < R; ++r) {
          const Bits pair = Bits{} + uint32_t(rows[r][d + i]);
          x[r][0] = (V)(pair << 16);
          x[r][1] = (V)(pair & 0xffff0000u);
        }
        for (int m = 0; m < M; ++m) {
          const Bits w = (Bits)load(panel + m * kTile + i * L);
          for (int r = 0; r < R; ++r) {
            first[r][m] += x[r][0] * (V)(w << 16);
            second[r][m] += x[r][1] * (V)(w & 0xffff0000u);
          }
        }
      }
      for (int r = 0; r < R; ++r)
        for (int m = 0; m < M; ++m) sums[r * N + m] += first[r][m] + second[r][m];
    }
  }

  // Sides x C tiles of sums; a step of the panel has M tiles.
  template <int Sides, int C>
  [[gnu::noinline]] static void block(V* sums, int64_t N, Factors& factors, const Value* panel, int64_t M,
                                      int64_t depth, bool zero) {
    const int64_t stride = N * int64_t(sizeof(V));
    V* second = sums + kSide * N;
    if (zero) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, sums, stride);
      if constexpr (C > 1) _tile_loadd(1, sums + 1, stride);
      if constexpr (Sides > 1) _tile_loadd(2, second, stride);
      if constexpr (Sides > 1 && C > 1) _tile_loadd(3, second + 1, stride);
      if constexpr (Sides == 1 && C > 2) _tile_loadd(2, sums + 2, stride);
      if constexpr (Sides == 1 && C > 3) _tile_loadd(3, sums + 3, stride);
    }
    for (int64_t d = 0; d < depth; d += kSide, panel += M * kTile) {
      int64_t bytes;
      const Value* rows = factors.at(0, d, bytes);
      _tile_loadd(4, rows, bytes);
      _tile_loadd(6, panel, kRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (Sides > 1) {
        rows = factors.at(1, d, bytes);
        _tile_loadd(5, rows, bytes);
        _tile_dpbf16ps(2, 5, 6);
      }
      if constexpr (C > 1) {
        _tile_loadd(7, panel + kTile, kRowBytes);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (Sides > 1) _tile_dpbf16ps(3, 5, 7);
      }
      if constexpr (Sides == 1 && C > 2) {
        _tile_loadd(6, panel + 2 * kTile, kRowBytes);
        _tile_dpbf16ps(2, 4, 6);
      }
      if constexpr (Sides == 1 && C > 3) {
        _tile_loadd(7, panel + 3 * kTile, kRowBytes);
        _tile_dpbf16ps(3, 4, 7);
      }
    }
    _tile_stored(0, sums, stride);
    if constexpr (C > 1) _tile_stored(1, sums + 1, stride);
    if constexpr (Sides > 1) _tile_stored(2, second, stride);
    if constexpr (Sides > 1 && C > 1) _tile_stored(3, second + 1, stride);
    if constexpr (Sides == 1 && C > 2) _tile_stored(2, sums + 2, stride);
    if constexpr (Sides == 1 && C > 3) _tile_stored(3, sums + 3, stride);
  }
};
using Bfloat16 = Tiles;

}  // namespace TEXTNN_ISA
