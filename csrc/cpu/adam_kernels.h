// Adam on one row, for one instruction set (included through foreach_isa.h). The equations: math/adam.h.
#include "simd.h"

namespace TEXTNN_ISA {

template <class T>
inline Vec<T> square_root(Vec<T> x) {
  for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = std::sqrt(x[i]);  // becomes one instruction
  return x;
}

template <class T>
void adam_update_row(const AdamTable<T>& a, int64_t row, const T* g_row, const AdamStep& step) {
  const math::AdamRates<T> s(step);
  for (int64_t j = 0; j < a.D; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.D - j), at = row * a.D + j;
    Vec<T> m = load(a.m + at, n), v = load(a.v + at, n);
    math::adam_moments(s, load(g_row + j, n), m, v);
    store(a.m + at, m, n);
    store(a.v + at, v, n);
    store(a.p + at, load(a.p + at, n) - math::adam_movement(s, m, square_root<T>(v)), n);
  }
}

template <class T>
void adam_catch_up_row(const AdamTable<T>& a, int64_t row, const Missed& missed, const AdamHistory& history) {
  const Missed x = missed;
  const T least = T(x.least), decay_m = T(x.decay_m), decay_v = T(x.decay_v);
  for (int64_t j = 0; j < a.D; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.D - j), at = row * a.D + j;
    const Vec<T> m = load(a.m + at, n), v = load(a.v + at, n), sigma = square_root<T>(v);
    bool close = true;
    for (int64_t i = 0; i < n; ++i) close &= sigma[i] >= least || m[i] == 0;
    const Vec<T> total = close ? math::adam_formula<T>(x, sigma) : math::adam_terms<T>(x, history, sigma);
    store(a.p + at, load(a.p + at, n) - m * total, n);
    store(a.m + at, decay_m * m, n);
    store(a.v + at, decay_v * v, n);
  }
}

}  // namespace TEXTNN_ISA
