// Attention within one sentence, for one instruction set (included through foreach_isa.h).
//
// The products of queries with states are dot products of rows (dots.h); weighted sums of states, and the gradient of
// the states, add up whole rows: out[r] += sum_k a[r][k] * rows[k], in registers for a tile of rows and columns. No
// matrix is packed: each is read a few times, while a sentence stays in the cache.
#include "simd.h"
#include "tile.h"
#include "dots.h"

namespace TEXTNN_ISA {

// Rows of a matrix [K, H], and their weights: that of row k in row r of the sum is a[r * row + k * step].
template <class T>
struct WeightedRows {
  const T* a;
  int64_t row, step;
  const T* m;
  int64_t K;
};

// R x N vectors of out[r] = sum of weighted rows, of one matrix or several; n columns from column c on.
template <class T, int R, int N, int F>
[[gnu::always_inline]] inline void weighted_tile(const WeightedRows<T> (&factors)[F], int64_t first, int64_t c,
                                                 int64_t H, T* out, int64_t n) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][N] = {};
  const auto add = [&](const WeightedRows<T>& f, auto read) {
    const T *m = f.m + c, *a = f.a + first * f.row;
    for (int64_t k = 0; k < f.K; ++k, m += H, a += f.step) {
      Vec<T> w[N];
      for (int i = 0; i < N; ++i) w[i] = read(m + i * L, n - i * L);
      for (int r = 0; r < R; ++r) {
        const T x = a[r * f.row];
        for (int i = 0; i < N; ++i) acc[r][i] += x * w[i];
      }
    }
  };
  for (const WeightedRows<T>& f : factors) {
    if (n >= N * L)
      add(f, [](const T* p, int64_t) { return load(p); });
    else
      add(f, [](const T* p, int64_t left) { return load(p, left); });
  }
  for (int r = 0; r < R; ++r)
    for (int i = 0; i < N; ++i) store(out + (first + r) * H + c + i * L, acc[r][i], n - i * L);
}

// The same for `rows` rows and all H columns.
template <class T, int F>
inline void add_weighted(const WeightedRows<T> (&factors)[F], int64_t H, T* out, int64_t rows) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t c = 0; c < H; c += kMaxVectors * L)
    for_dot_rows(rows, [&](auto R, int64_t r) {
      with_constant<kMaxVectors>(int(std::min<int64_t>(kMaxVectors, (H - c + L - 1) / L)),
                                 [&](auto N) { weighted_tile<T, R, N>(factors, r, c, H, out, H - c); });
    });
}

// out[q * row + t] = scale * x[q] . states[t] + (plus ? plus[q * row + t] : 0) for `queries` queries and `length`
// states.
template <class T>
inline void row_products(const T* x, int64_t queries, const T* states, int64_t length, int64_t H, T scale,
                         const T* plus, T* out, int64_t row, int64_t plus_row) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t t = 0; t < length; t += L)
    for_dot_rows(queries, [&](auto R, int64_t q) {
      const int64_t n = std::min(L, length - t);
      const T* rows[R];
      Vec<T> sum[R] = {};
      for (int r = 0; r < R; ++r) rows[r] = x + (q + r) * H;
      const DotFactor<T> one[] = {{rows, states + t * H, H}};
      add_dots<T, R>(sum, one, n);
      for (int r = 0; r < R; ++r) {
        Vec<T> v = sum[r] * scale;
        if (plus) v += load(plus + (q + r) * plus_row + t, n);
        store(out + (q + r) * row + t, v, n);
      }
    });
}

// The sum of the lanes, and the greatest of them.
template <class T>
[[gnu::always_inline]] inline T lane_sum(const Vec<T>& v) {
  T part[kLanes<T>];
  store(part, v);
  for (int64_t half = kLanes<T> / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}
template <class T>
[[gnu::always_inline]] inline T greatest(const T* s, int64_t length) {
  constexpr int64_t L = kLanes<T>;
  T top = s[0];
  if (length < L) {
    for (int64_t t = 1; t < length; ++t) top = s[t] > top ? s[t] : top;
    return top;
  }
  Vec<T> tops = load(s);
  for (int64_t t = L; t < length; t += L) {
    const Vec<T> v = load(s + std::min(t, length - L));  // the last one may overlap the one before
    tops = v > tops ? v : tops;
  }
  T part[L];
  store(part, tops);
  for (int64_t half = L / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) part[i] = part[i + half] > part[i] ? part[i + half] : part[i];
  return part[0];
}

// Scores to weights, in place.
template <class T>
[[gnu::flatten]] inline void softmax(T* s, int64_t length) {
  constexpr int64_t L = kLanes<T>;
  const T top = greatest(s, length);
  Vec<T> total{};
  for (int64_t t = 0; t < length; t += L) {
    const int64_t n = std::min(L, length - t);
    store(s + t, exp_or_zero<T>(load(s + t, n) - top), n);
    total += load(s + t, n);  // without the lanes behind the last one
  }
  const T part = 1 / lane_sum<T>(total);
  for (int64_t t = 0; t < length; t += L) {
    const int64_t n = std::min(L, length - t);
    store(s + t, load(s + t, n) * part, n);
  }
}

// Queries [begin, end) of sentence b. scratch: a weight for each query and state, where weights are not wanted.
template <class T>
void attend(const AttentionForward<T>& f, int64_t b, int64_t begin, int64_t end, T* scratch) {
  const Attention<T>& a = f.attention;
  const int64_t length = a.sentences.length[b], count = end - begin, H = a.H;
  const T *query = a.query + (b * a.Q + begin) * H, *states = a.states + a.sentences.start[b] * H;
  T* weights = f.weights ? f.weights + a.first[b] + begin * a.row : scratch;
  const int64_t row = f.weights ? a.row : length;
  row_products(query, count, states, length, H, a.scale, static_cast<const T*>(nullptr), weights, row, int64_t(0));
  for (int64_t q = 0; q < count; ++q) {
    if (length) softmax(weights + q * row, length);
    if (f.weights && a.longest > length) std::fill(weights + q * row + length, weights + q * row + a.longest, T(0));
  }
  const WeightedRows<T> sums[] = {{weights, row, 1, states, length}};
  add_weighted(sums, H, f.context + (b * a.Q + begin) * H, count);
}

// All of sentence b. d: scratch, a value for each query and state. With p the weights and dp their gradient, that of
// the scores is p (dp - sum(p dp)).
template <class T>
void attend_backward(const AttentionBackward<T>& f, int64_t b, T* d) {
  constexpr int64_t L = kLanes<T>;
  const Attention<T>& a = f.attention;
  const int64_t length = a.sentences.length[b], Q = a.Q, H = a.H, start = a.sentences.start[b];
  const T *query = a.query + b * Q * H, *states = a.states + start * H, *weights = f.weights + a.first[b];
  const T *dcontext = f.dcontext ? f.dcontext + b * Q * H : nullptr,
          *dweights = f.dweights ? f.dweights + a.first[b] : nullptr;
  T *dquery = f.dquery + b * Q * H, *dstates = f.dstates + start * H;
  if (dcontext)
    row_products(dcontext, Q, states, length, H, T(1), dweights, d, length, a.row);
  else if (dweights)
    for (int64_t q = 0; q < Q; ++q) std::copy(dweights + q * a.row, dweights + q * a.row + length, d + q * length);
  else  // contexts without a column
    std::fill(d, d + Q * length, T(0));
  for (int64_t q = 0; q < Q; ++q) {
    const T* p = weights + q * a.row;
    T* to = d + q * length;
    Vec<T> sum{};
    for (int64_t t = 0; t < length; t += L) {
      const int64_t n = std::min(L, length - t);
      sum += load(p + t, n) * load(to + t, n);
    }
    const T mean = lane_sum<T>(sum);
    for (int64_t t = 0; t < length; t += L) {
      const int64_t n = std::min(L, length - t);
      store(to + t, load(p + t, n) * (load(to + t, n) - mean) * a.scale, n);
    }
  }
  const WeightedRows<T> of_query[] = {{d, length, 1, states, length}};
  add_weighted(of_query, H, dquery, Q);
  const WeightedRows<T> of_states[] = {{d, 1, length, query, Q}, {weights, 1, a.row, dcontext, dcontext ? Q : 0}};
  add_weighted(of_states, H, dstates, length);
  if (a.longest > length) std::fill(dstates + length * H, dstates + a.longest * H, T(0));
}

}  // namespace TEXTNN_ISA
