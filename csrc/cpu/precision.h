// The precision of products: how their factors are held, a policy of the recurrent kernels for one instruction set
// (included through foreach_isa.h).
//
//              a row of K factors              a panel                    a step of the product
//   Exact<T>   where it stands, K of T         [K][N][L] of T             acc += x * w
//   Rounded    a copy, K of float, rounded     [K][N][L] of float         acc += x * w
//   Pairs      a copy, K of bfloat16           [K / 2][N][L] of pairs     acc += x_k w_k + x_k+1 w_k+1
//   Tiles      the same, K up to whole tiles   in tiles (tiles.h)         16 x 16 sums of 32 products each
//
// Rounded, Pairs and Tiles are bfloat16, the nearest value with 8 bits; sums are float32 in all. Pairs is for sets with
// an instruction that multiplies pairs and adds (AVX512-BF16), where it is twice as fast as float32; an odd K is filled
// up with a zero. Tiles is for sets that multiply whole tiles of pairs (AMX). Everywhere else Rounded makes the same
// products, at the rate of float32.
//
// A product goes through its rows in tiles, the sums of which are T:
//
//   const typename Product::Session session;                    of the thread, as long as it multiplies
//   Product::settle(panel, N, depth);                           once a panel has been packed
//   Product::for_row_tiles(0, count, [&](auto R, auto n, int64_t first) {     n rows from first on, of at most R
//     typename Product::template Tile<R, N> tile;               tile.acc[r][n]
//     tile.clear();
//     Product::template accumulate<0, N>(tile, n, rows, panel, depth);
//   });

namespace TEXTNN_ISA {

template <class T_>
struct Exact : PlainRows<T_>, InRegisters<Exact<T_>, T_> {  // its Stored is one factor of a row
  using T = T_;
  using Stored = T;
  using Value = T;             // what a step of the product reads of a row, and a lane of a panel
  using Math = VectorMath<T>;  // of the cells
  static constexpr bool kRounds = false;
  static constexpr int64_t kGroup = 1;                     // factors of a Value
  static constexpr int64_t depth(int64_t K) { return K; }  // steps of a product

  [[gnu::always_inline]] static inline void multiply_add(Vec<T>& acc, const Value* x, const Vec<T>& w) {
    acc += *x * w;
  }
  // n Values of kGroup rows, of which the last may be null.
  static void gather(const T* first, const T*, int64_t n, Value* to) { std::memcpy(to, first, size_t(n) * sizeof(T)); }
  // Of the same rows as they are stored, one vector.
  static Vec<T> gather_stored(const Stored* first, const Stored*, int64_t n) { return load(first, n); }
  // sum + the sum of the kGroup rows of a gathered vector
  static Vec<T> add(const Vec<T>& sum, const Vec<T>& v) { return sum + v; }
  // to[k][r] = Value k of row r, for n rows of K factors; to has room for whole vectors of rows.
  static void transpose_rows(const T* from, int64_t K, Value* to, int64_t to_stride, int64_t n) {
    transpose(from, K, to, to_stride, n, K);
  }
};

// The nearest bfloat16.
[[gnu::always_inline]] inline Vec<float> rounded(const Vec<float>& v) {
  using Bits = Vec<uint32_t>;
  Bits bits;
  __builtin_memcpy(&bits, &v, sizeof bits);
  const Bits even = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  Vec<float> result;
  __builtin_memcpy(&result, &even, sizeof result);
  return v == v ? result : v;
}

// n values of bfloat16 in memory, the nearest ones, as results and their gradients may be stored. Nothing behind them
// is touched.
typedef uint16_t HalfVec __attribute__((vector_size(kVectorBytes / 2)));
[[gnu::always_inline]] inline void store_bfloat16(uint16_t* to, const Vec<float>& v, int64_t n) {
#if TEXTNN_PAIRS
  const HalfVec half = (HalfVec)_mm512_cvtneps_pbh((__m512)v);
#else
  const Vec<float> nearest = rounded(v);
  Vec<uint32_t> bits;
  __builtin_memcpy(&bits, &nearest, sizeof bits);
  const HalfVec half = __builtin_convertvector(bits >> 16, HalfVec);
#endif
  if (n >= kLanes<float>)
    __builtin_memcpy(to, &half, sizeof half);
  else if (n > 0)
    __builtin_memcpy(to, &half, size_t(n) * sizeof(uint16_t));
}
[[gnu::always_inline]] inline Vec<float> load_bfloat16(const uint16_t* from, int64_t n) {
  HalfVec half{};
  if (n >= kLanes<float>)
    __builtin_memcpy(&half, from, sizeof half);
  else if (n > 0)
    __builtin_memcpy(&half, from, size_t(n) * sizeof(uint16_t));
  const Vec<uint32_t> bits = __builtin_convertvector(half, Vec<uint32_t>) << 16;
  Vec<float> v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}

struct Rounded : Exact<float> {
  static constexpr bool kRounds = true;

  static void write(Stored* to, const Vec<float>& v, int64_t n) { store(to, rounded(v), n); }
  static void round(const float* from, int64_t K, Value* to) {
    for (int64_t k = 0; k < K; k += kLanes<float>) store(to + k, rounded(load(from + k, K - k)), K - k);
  }
  static void gather(const float* first, const float*, int64_t n, Value* to) { round(first, n, to); }
  static void transpose_rows(const float* from, int64_t K, Value* to, int64_t to_stride, int64_t n) {
    transpose(from, K, to, to_stride, n, K);
    for (int64_t k = 0; k < K; ++k) round(to + k * to_stride, n, to + k * to_stride);
  }
};

#if TEXTNN_PAIRS
struct Pairs : InRegisters<Pairs, float> {
  using T = float;
  using Value = int32_t;  // two factors, the first one in the lower half
  using Stored = uint16_t;
  using Math = QuickMath;
  using V = Vec<float>;
  static constexpr bool kRounds = true;
  static constexpr int64_t kGroup = 2, L = kLanes<float>;
  static constexpr int64_t depth(int64_t K) { return (K + 1) / 2; }
  typedef uint16_t Half __attribute__((vector_size(2 * L)));  // a vector of factors

  [[gnu::always_inline]] static inline Half narrow(const V& v) { return (Half)_mm512_cvtneps_pbh((__m512)v); }
  [[gnu::always_inline]] static inline V widen(const Half& h) {
    return (V)(__builtin_convertvector(h, Vec<uint32_t>) << 16);
  }
  [[gnu::always_inline]] static inline Vec<Value> pair(const Half& first, const Half& second) {
    return (Vec<Value>)(__builtin_convertvector(first, Vec<uint32_t>) |
                        (__builtin_convertvector(second, Vec<uint32_t>) << 16));
  }

  [[gnu::always_inline]] static inline Half load_half(const Stored* from, int64_t n) {
    Half h{};
    if (n >= L)
      __builtin_memcpy(&h, from, sizeof h);
    else if (n > 0)
      __builtin_memcpy(&h, from, size_t(n) * sizeof(Stored));
    return h;
  }
  [[gnu::always_inline]] static inline V read(const Stored* from, int64_t n) { return widen(load_half(from, n)); }
  // Behind an odd number of factors a zero.
  [[gnu::always_inline]] static inline void write(Stored* to, const V& v, int64_t n) {  // n: of the row from here on
    Half h = narrow(v);
    if (n >= L) {
      __builtin_memcpy(to, &h, sizeof h);
    } else {
      if (n % 2) h[n] = 0;
      __builtin_memcpy(to, &h, size_t(n + n % 2) * sizeof(Stored));
    }
  }
  static void round(const float* from, int64_t K, Value* to) {
    Stored* stored = reinterpret_cast<Stored*>(to);
    for (int64_t k = 0; k < K; k += L) write(stored + k, load(from + k, K - k), K - k);
  }
  static void gather(const float* first, const float* second, int64_t n, Value* to) {
    for (int64_t i = 0; i < n; i += L) {
      const Half other = second ? narrow(load(second + i, n - i)) : Half{};
      const Vec<Value> pairs = pair(narrow(load(first + i, n - i)), other);
      if (n - i >= L)
        __builtin_memcpy(to + i, &pairs, sizeof pairs);
      else
        __builtin_memcpy(to + i, &pairs, size_t(n - i) * sizeof(Value));
    }
  }
  [[gnu::always_inline]] static inline Vec<Value> gather_stored(const Stored* first, const Stored* second, int64_t n) {
    return pair(load_half(first, n), second ? load_half(second, n) : Half{});
  }
  [[gnu::always_inline]] static inline void multiply_add(V& acc, const Value* from, const Vec<Value>& w) {
    Value x;
    __builtin_memcpy(&x, from, sizeof x);  // written as two factors, perhaps
    acc = (V)_mm512_dpbf16_ps((__m512)acc, (__m512bh)(Vec<Value>{} + x), (__m512bh)w);
  }
  [[gnu::always_inline]] static inline V add(V sum, const Vec<Value>& v) {
    constexpr Value kOnes = 0x3f803f80;
    multiply_add(sum, &kOnes, v);
    return sum;
  }
  static void transpose_rows(const float* from, int64_t K, Value* to, int64_t to_stride, int64_t n) {
    transpose_pairs(from, K, depth(K), to, to_stride, n);
  }
  // The same to `depth` Values, of which those behind the K factors become zero.
  static void transpose_pairs(const float* from, int64_t K, int64_t depth, Value* to, int64_t to_stride, int64_t n) {
    for (int64_t r = 0; r < n; r += L, to += L)
      for (int64_t d = 0; d < depth; d += L) {
        V square[L] = {};
        for (int64_t i = 0; i < std::min(L, n - r); ++i) {
          const float* row = from + (r + i) * K;
          Half halves[2] = {};
          for (int64_t k = 2 * d, h = 0; h < 2 && k < K; k += L, ++h) halves[h] = narrow(load(row + k, K - k));
          __builtin_memcpy(&square[i], halves, sizeof square[i]);
        }
        transpose_square<float>(square);
        for (int64_t i = 0; i < std::min(L, depth - d); ++i)
          __builtin_memcpy(to + (d + i) * to_stride, &square[i], sizeof square[i]);
      }
  }
};
#endif

#if TEXTNN_PAIRS && !TEXTNN_TILES
using Bfloat16 = Pairs;
#elif !TEXTNN_PAIRS
using Bfloat16 = Rounded;
#endif

// Factors of a row of K in memory: K rounded up to whole Values.
template <class Product>
constexpr int64_t stored(int64_t K) {
  return Product::depth(K) * Product::kGroup;
}

}  // namespace TEXTNN_ISA
