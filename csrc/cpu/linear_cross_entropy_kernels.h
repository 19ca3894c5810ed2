// The passes over a block of logits for one instruction set (included through foreach_isa.h). Who computes what does
// not depend on the number of threads.
#include "simd.h"
#include "tile.h"
#include "sum_rows.h"
#include "precision.h"

namespace TEXTNN_ISA {

template <class S>
struct Logits : PlainRows<S> {};

template <>
struct Logits<Bfloat16Logit> {
  using T = float;
  using Stored = Bfloat16Logit;
  static constexpr int64_t L = kLanes<float>;
  typedef uint16_t Half __attribute__((vector_size(2 * L)));

  [[gnu::always_inline]] static inline Vec<float> read(const Stored* from, int64_t n) {
    Half half{};
    if (n >= L)
      __builtin_memcpy(&half, from, sizeof half);
    else
      for (int64_t i = 0; i < n; ++i) half[i] = from[i].bits;
    const Vec<uint32_t> wide = __builtin_convertvector(half, Vec<uint32_t>) << 16;
    Vec<float> v;
    __builtin_memcpy(&v, &wide, sizeof v);
    return v;
  }
  [[gnu::always_inline]] static inline void write(Stored* to, const Vec<float>& v, int64_t n) {
    const Vec<float> near = rounded(v);
    Vec<uint32_t> bits;
    __builtin_memcpy(&bits, &near, sizeof bits);
    // Of a NaN, whose lower bits are cut off here, one of the upper ones has to be set.
    const Vec<uint32_t> quiet = (Vec<uint32_t>)(v != v) & (uint32_t(1) << 22);
    const Half half = __builtin_convertvector((bits | quiet) >> 16, Half);
    if (n >= L)
      __builtin_memcpy(to, &half, sizeof half);
    else
      for (int64_t i = 0; i < n; ++i) to[i].bits = half[i];
  }
};

template <class T>
[[gnu::always_inline]] inline IVec<T> first_lanes(int64_t n) {
  IVec<T> lane;
  for (int64_t i = 0; i < kLanes<T>; ++i) lane[i] = i < n ? -1 : 0;
  return lane;
}

template <class T>
double sum_of(const Vec<T>& v) {
  double sum = 0;
  for (int64_t i = 0; i < kLanes<T>; ++i) sum += double(v[i]);
  return sum;
}

constexpr int64_t kRowsOfUnit = 16;  // that a thread takes at once

inline int64_t units_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

template <class S, bool Bias, bool Weighted>
void fold_rows(const LogitBlock<S>& a, const RowSums<typename LogitBlock<S>::T>& sums,
               typename LogitBlock<S>::T* reference, int64_t begin, int64_t end) {
  using Of = Logits<S>;
  using T = typename Of::T;
  constexpr int64_t L = kLanes<T>;
  constexpr T kLeast = -std::numeric_limits<T>::infinity();
  const int64_t n = a.columns, whole = n / L * L;
  const IVec<T> used = first_lanes<T>(n - whole);
  for (int64_t r = begin; r < end; ++r) {
    S* z = a.z + r * n;
    const auto logit = [&](int64_t j, int64_t count) {
      Vec<T> v = Of::read(z + j, count);
      if constexpr (Bias) v += load(a.bias + j, count);
      return v;
    };
    Vec<T> top = broadcast(kLeast), weighted{};
    const auto look = [&](const Vec<T>& v, int64_t j, int64_t count) {
      top = v > top ? v : top;
      if constexpr (Weighted) weighted += a.weight ? load(a.weight + j, count) * v : v;
    };
    for (int64_t j = 0; j < whole; j += L) look(logit(j, L), j, L);
    if (whole < n) {
      const Vec<T> v = logit(whole, n - whole), last = used ? v : broadcast(kLeast);
      top = last > top ? last : top;
      if constexpr (Weighted) {
        const Vec<T> product = a.weight ? load(a.weight + whole, n - whole) * v : v;
        weighted += used ? product : Vec<T>{};
      }
    }
    const T before = sums.top[r];
    T now = before;
    for (int64_t i = 0; i < L; ++i) now = top[i] > now ? top[i] : now;
    const T base = now == kLeast ? T(0) : now;
    const int64_t at = a.target[r] - a.first;
    if (at >= 0 && at < n) sums.score[r] = logit(at, 1)[0];
    Vec<T> sum{};
    for (int64_t j = 0; j < whole; j += L) {
      const Vec<T> e = exp_or_zero<T>(logit(j, L) - base);
      sum += e;
      if (reference) Of::write(z + j, e, L);
    }
    if (whole < n) {
      const Vec<T> e = exp_or_zero<T>(logit(whole, n - whole) - base);
      sum += used ? e : Vec<T>{};
      if (reference) Of::write(z + whole, e, n - whole);
    }
    sums.top[r] = now;
    sums.sum[r] = sums.sum[r] * (before == kLeast ? 0 : std::exp(double(before) - double(base))) + sum_of<T>(sum);
    if constexpr (Weighted) sums.weighted[r] += sum_of<T>(weighted);
    if (reference) reference[r] = base;
  }
}

template <class S>
void fold_logits(const ThreadPool& pool, const LogitBlock<S>& a, const RowSums<typename LogitBlock<S>::T>& sums,
                 typename LogitBlock<S>::T* reference) {
  const auto fold = a.bias          ? sums.weighted ? &fold_rows<S, true, true> : &fold_rows<S, true, false>
                    : sums.weighted ? &fold_rows<S, false, true>
                                    : &fold_rows<S, false, false>;
  for_units(pool, units_of(a.rows, kRowsOfUnit), [&](int64_t unit) {
    fold(a, sums, reference, unit * kRowsOfUnit, std::min(a.rows, (unit + 1) * kRowsOfUnit));
  });
}

// dbias may be null.
template <class S, bool Kept, bool Smooth>
void gradient_rows(const LogitBlock<S>& a, const GradientFactors<typename LogitBlock<S>::T>& factors,
                   typename LogitBlock<S>::T* dbias, int64_t begin, int64_t end) {
  using Of = Logits<S>;
  using T = typename Of::T;
  constexpr int64_t L = kLanes<T>;
  const int64_t n = a.columns;
  for (int64_t r = begin; r < end; ++r) {
    S* z = a.z + r * n;
    const T all = factors.all[r], lse = factors.lse[r], smooth = Smooth ? factors.smooth[r] : T(0);
    // Relative to a maximum that lies far below the final one all is zero, but for NaN.
    const T scale = Kept ? T(double(all) * std::exp(double(factors.reference[r]) - double(lse))) : all;
    const auto gradient = [&](int64_t j, int64_t count) {
      Vec<T> v = Of::read(z + j, count);
      if constexpr (!Kept) {
        if (a.bias) v += load(a.bias + j, count);
        v = exp_or_zero<T>(v - lse);
      }
      Vec<T> g = v * scale;
      if constexpr (Smooth) g -= a.weight ? load(a.weight + j, count) * smooth : broadcast(smooth);
      return g;
    };
    const int64_t at = a.target[r] - a.first;
    const bool here = at >= 0 && at < n;
    const T hit = here ? gradient(at, 1)[0] - factors.hit[r] : T(0);
    if (dbias) {
      for (int64_t j = 0; j < n; j += L) {
        const Vec<T> g = gradient(j, n - j);
        Of::write(z + j, g, n - j);
        store(dbias + j, load(dbias + j, n - j) + g, n - j);
      }
      if (here) dbias[at] -= factors.hit[r];
    } else {
      for (int64_t j = 0; j < n; j += L) Of::write(z + j, gradient(j, n - j), n - j);
    }
    if (here) Of::write(z + at, broadcast(hit), 1);
  }
}

template <class S>
void logit_gradients(const ThreadPool& pool, const LogitBlock<S>& a,
                     const GradientFactors<typename LogitBlock<S>::T>& factors, typename LogitBlock<S>::T* dbias) {
  using T = typename LogitBlock<S>::T;
  const bool kept = factors.reference, smooth = factors.smooth;
  const auto rows = kept     ? smooth ? &gradient_rows<S, true, true> : &gradient_rows<S, true, false>
                    : smooth ? &gradient_rows<S, false, true>
                             : &gradient_rows<S, false, false>;
  const int64_t units = units_of(a.rows, kRowsOfUnit), n = a.columns;
  Workspace workspace(Workspace::bytes<T>(dbias ? units * n : 0));
  T* parts = dbias ? workspace.take<T>(units * n) : nullptr;
  for_units(pool, units, [&](int64_t unit) {
    T* part = dbias ? parts + unit * n : nullptr;
    if (part) std::fill_n(part, n, T(0));
    rows(a, factors, part, unit * kRowsOfUnit, std::min(a.rows, (unit + 1) * kRowsOfUnit));
  });
  for (int64_t unit = 0; dbias && unit < units; ++unit)
    for (int64_t j = 0; j < n; ++j) dbias[j] += parts[unit * n + j];
}

template <class S>
void add_block(const ThreadPool& pool, typename LogitMath<S>::type* to, const S* from, int64_t n, bool add) {
  using T = typename LogitMath<S>::type;
  constexpr int64_t L = kLanes<T>, kPart = 1 << 14;
  for_units(pool, units_of(n, kPart), [&](int64_t unit) {
    const int64_t end = std::min(n, (unit + 1) * kPart);
    for (int64_t i = unit * kPart; i < end; i += L) {
      const Vec<T> v = Logits<S>::read(from + i, end - i);
      store(to + i, add ? load(to + i, end - i) + v : v, end - i);
    }
  });
}

template <class S>
void gather_rows(const ThreadPool& pool, S* to, const typename LogitMath<S>::type* from, const int64_t* row,
                 int64_t rows, int64_t columns) {
  using T = typename LogitMath<S>::type;
  for_units(pool, units_of(rows, kRowsOfUnit), [&](int64_t unit) {
    for (int64_t r = unit * kRowsOfUnit; r < std::min(rows, (unit + 1) * kRowsOfUnit); ++r) {
      const T* x = from + (row ? row[r] : r) * columns;
      for (int64_t j = 0; j < columns; j += kLanes<T>)
        Logits<S>::write(to + r * columns + j, load(x + j, columns - j), columns - j);
    }
  });
}

}  // namespace TEXTNN_ISA
