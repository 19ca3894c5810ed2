// Sums of rows, each times a number of its own, for one instruction set (included through foreach_isa.h).
//
//                    a row in memory                      a step of the sum
//   Exact, Rounded   its vectors of T                     sum += g row
//   Pairs            two vectors of bfloat16 at a time,   sum += g_1 row_1 + g_2 row_2
//                    four values of either in turn
//
// The instruction that multiplies pairs wants those of two rows side by side. Zipping two rows works within 16 bytes;
// the order in memory is the one that comes out of it as it went in.

namespace TEXTNN_ISA {

template <class Product>
struct ScaledRows {
  using T = typename Product::T;
  using Value = typename Product::Value;
  using Stored = typename Product::Stored;
  static constexpr int64_t L = kLanes<T>, kGroup = Product::kGroup;

  // Of a row of D values; a multiple of kGroup.
  static int64_t vectors(int64_t D) { return (D + kGroup * L - 1) / (kGroup * L) * kGroup; }

  // A row as it is kept, zeros behind its D values.
  static void write(const T* from, int64_t D, Stored* to) {
    if constexpr (kGroup == 1) {
      if constexpr (Product::kRounds)
        Product::round(from, D, to);
      else
        std::memcpy(to, from, D * sizeof(T));
      std::fill(to + D, to + vectors(D) * L, T(0));
    } else {
      for (int64_t d = 0; d < D; d += 2 * L, to += 2 * L) {
        Stored half[2][L] = {};
        for (int i = 0; i < 2; ++i)
          if (const int64_t n = D - d - i * L; n > 0) Product::write(half[i], load(from + d + i * L, n), n);
        for (int64_t l = 0; l < L; l += 4)
          for (int i = 0; i < 2; ++i) std::memcpy(to + 2 * l + 4 * i, half[i] + l, 4 * sizeof(Stored));
      }
    }
  }

  // Numbers as factors of a product.
  static void round(T* g, int64_t n) {
    if constexpr (Product::kRounds)
      for (int64_t i = 0; i < n; i += L) store(g + i, rounded(load(g + i, n - i)), n - i);
  }

  // V vectors of a sum, V a multiple of kGroup, of rows that stand `stride` apart. Terms are added in the order in
  // which they come, some at a time.
  template <int V>
  class Sum {
   public:
    Sum(const Stored* rows, int64_t stride) : rows_(rows), stride_(stride) {}

    [[gnu::always_inline]] inline void add(T g, int64_t row) {
      g_[count_] = g;
      from_[count_] = rows_ + row * stride_;
      if (++count_ == kTerms) put_by();
    }
    // The first n of V * L values.
    void finish(T* to, int64_t n) const {
      Vec<T> sum[V];
      multiply(sum);
      for (int64_t v = 0; v < V && v * L < n; ++v) store(to + v * L, sum[v], n - v * L);
    }

   private:
    static constexpr int kTerms = 64;

    // Of sums with many terms.
    [[gnu::noinline]] void put_by() {
      Vec<T> sum[V];
      multiply(sum);
      for (int v = 0; v < V; ++v) sum_[v] = sum[v];
      begun_ = true;
      count_ = 0;
    }

    [[gnu::always_inline]] inline void multiply(Vec<T> (&sum)[V]) const {
      for (int v = 0; v < V; ++v) sum[v] = begun_ ? sum_[v] : Vec<T>{};
      if constexpr (kGroup == 1) {
        for (int i = 0; i < count_; ++i)
          for (int v = 0; v < V; ++v) sum[v] += g_[i] * load(from_[i] + v * L);
      } else {
        for (int i = 0; i < count_; i += 2) {
          const bool both = i + 1 < count_;
          const Stored *first = from_[i], *second = both ? from_[i + 1] : kNothing;
          const Value g = pair(g_[i], both ? g_[i + 1] : 0);
          for (int v = 0; v < V; v += 2) {
            const Vec<Stored> a = load(first + v * L), b = load(second + v * L);
            Product::multiply_add(sum[v], &g, zip_rows<0>(a, b));
            Product::multiply_add(sum[v + 1], &g, zip_rows<1>(a, b));
          }
        }
      }
    }

    alignas(kVectorBytes) static constexpr Stored kNothing[V * L] = {};
    Vec<T> sum_[V];  // of the terms before, if any
    bool begun_ = false;
    T g_[kTerms];
    const Stored* from_[kTerms];
    int count_ = 0;
    const Stored* const rows_;
    const int64_t stride_;
  };

 private:
  // Of two numbers that have been rounded, the first one in the lower half.
  static Value pair(T first, T second) {
    uint32_t low, high;
    std::memcpy(&low, &first, sizeof low);
    std::memcpy(&high, &second, sizeof high);
    return Value(low >> 16 | (high & 0xffff0000u));
  }

  // a[0] b[0] a[1] b[1] .. of the lower (Half = 0) or the upper halves of each 16 bytes.
  template <int Half, class V>
  [[gnu::always_inline]] static inline Vec<Value> zip_rows(const V& a, const V& b) {
    return (Vec<Value>)zip_rows<Half>(a, b, std::make_index_sequence<size_t(2 * L)>());
  }
  template <int Half, class V, size_t... I>
  [[gnu::always_inline]] static inline V zip_rows(const V& a, const V& b, std::index_sequence<I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (int(I / 8 * 8 + 4 * Half + I % 8 / 2 + I % 2 * 2 * L))...);
#else
    return __builtin_shuffle(a, b, V{Stored(I / 8 * 8 + 4 * Half + I % 8 / 2 + I % 2 * 2 * L)...});
#endif
  }
};

}  // namespace TEXTNN_ISA
