// Products of rows with rows, x[r] . w[n], for one instruction set (included through foreach_isa.h): where a matrix is
// used so few times that it does not pay to pack it (tile.h).
//
// Each product has a vector of partial sums of its own, in an order that depends on nothing but the number of columns;
// reduce() adds up the lanes of a whole square of them at once.

namespace TEXTNN_ISA {

constexpr int kDotRows = TEXTNN_REGISTERS == 32 ? 4 : 2;
constexpr int kDotColumns = 4;  // of several rows; a single one has twice as many

// acc[r][n] += x[r] * w[n], lane by lane.
template <class T, int R, int N>
[[gnu::always_inline]] inline void multiply_rows(Vec<T> (&acc)[R][N], const T* const* x, const T* const* w, int64_t K) {
  constexpr int64_t L = kLanes<T>;
  const auto add = [&](auto read) {
    Vec<T> v[N];
    for (int n = 0; n < N; ++n) v[n] = read(w[n]);
    for (int r = 0; r < R; ++r) {
      const Vec<T> u = read(x[r]);
      for (int n = 0; n < N; ++n) acc[r][n] += u * v[n];
    }
  };
  int64_t k = 0;
  for (; k + L <= K; k += L) {
    for (int n = 0; n < N; ++n) __builtin_prefetch(w[n] + k + N * K, 0, 2);
    add([&](const T* p) { return load(p + k); });
  }
  if (k < K) add([&](const T* p) { return load(p + k, K - k); });
}

// Lane i of the result is the sum of the lanes of v[i]; v is used up.
template <class T>
[[gnu::always_inline]] inline Vec<T> reduce(Vec<T> (&v)[kLanes<T>]) {
  constexpr auto lanes = std::make_index_sequence<size_t(kLanes<T>)>();
  for (int64_t half = kLanes<T> / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) v[i] = zip<T, 0>(v[i], v[i + half], lanes) + zip<T, 1>(v[i], v[i + half], lanes);
  return v[0];
}

// A matrix in whose rows there are K columns, and the rows that it is multiplied with.
template <class T>
struct DotFactor {
  const T* const* x;  // [R]
  const T* w;         // the first of the rows
  int64_t K;
};

// sum[r] += the products of R rows with `used` rows of a matrix, of one factor or the sum of several.
template <class T, int R, int F>
[[gnu::always_inline]] inline void add_dots(Vec<T> (&sum)[R], const DotFactor<T> (&factors)[F], int64_t used) {
  constexpr int64_t L = kLanes<T>;
  constexpr int N = int(std::min<int64_t>(L, R == 1 ? 2 * kDotColumns : kDotColumns));
  Vec<T> all[R][L];
  for (int64_t first = 0; first < L; first += N) {
    Vec<T> acc[R][N] = {};
    if (first < used)
      for (const DotFactor<T>& f : factors) {
        const T* w[N];
        for (int n = 0; n < N; ++n) w[n] = f.w + std::min(first + n, used - 1) * f.K;
        multiply_rows<T, R, N>(acc, f.x, w, f.K);
      }
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N; ++n) all[r][first + n] = acc[r][n];
  }
  for (int r = 0; r < R; ++r) sum[r] += reduce<T>(all[r]);
}

// body(Const<R>{}, first) for groups of at most kDotRows of n rows.
template <class F>
[[gnu::always_inline]] inline void for_dot_rows(int64_t n, F&& body) {
  for (int64_t first = 0; first < n; first += kDotRows)
    with_constant<kDotRows>(int(std::min<int64_t>(kDotRows, n - first)), [&](auto R) { body(R, first); });
}

}  // namespace TEXTNN_ISA
