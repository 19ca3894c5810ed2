// Adam on one row, for one instruction set (included through foreach_isa.h). The equations: adam_history.h.
#include "simd.h"

namespace TEXTNN_ISA {

template <class T>
inline Vec<T> square_root(Vec<T> x) {
  for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = std::sqrt(x[i]);  // becomes one instruction
  return x;
}

template <class T>
void adam_update_row(const AdamTable<T>& a, int64_t row, const T* g_row, const AdamStep& s) {
  const T keep_m = T(s.beta1), keep_v = T(s.beta2), take_m = T(1 - s.beta1), take_v = T(1 - s.beta2);
  const T size = T(s.step_size), floor = std::max(T(s.floor), std::numeric_limits<T>::min());
  for (int64_t j = 0; j < a.D; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.D - j), at = row * a.D + j;
    const Vec<T> g = load(g_row + j, n);
    const Vec<T> m = keep_m * load(a.m + at, n) + take_m * g, v = keep_v * load(a.v + at, n) + take_v * (g * g);
    store(a.m + at, m, n);
    store(a.v + at, v, n);
    store(a.p + at, load(a.p + at, n) - size * m / (square_root<T>(v) + floor), n);
  }
}

// Term by term, where the closed form is not close enough.
template <class T>
inline Vec<T> adam_terms(const Vec<T>& sigma, const Missed& x, const AdamHistory& history) {
  const double r = history.ratio(), growth = 1 / std::sqrt(history.beta2);
  const int64_t count = std::min(x.count, history.horizon());
  double weight = 1, scale = 1;
  Vec<T> sum = {};
  for (int64_t k = 1; k <= count; ++k) {
    weight *= r;
    scale *= growth;
    const double* step = history.at(x.since + k);
    sum += T(step[0] * weight) / (sigma + std::max(T(step[1] * scale), std::numeric_limits<T>::min()));
  }
  return sum;
}

template <class T>
void adam_catch_up_row(const AdamTable<T>& a, int64_t row, const Missed& x, const AdamHistory& history) {
  const T least_normal = std::numeric_limits<T>::min();  // eps may be 0, and 0 / 0 is no step
  const T mean = std::max(T(x.mean), least_normal), second = std::max(T(x.second), least_normal);
  const T sum = T(x.sum), spread = T(x.spread), least = T(x.least), decay_m = T(x.decay_m), decay_v = T(x.decay_v);
  for (int64_t j = 0; j < a.D; j += kLanes<T>) {
    const int64_t n = std::min(kLanes<T>, a.D - j), at = row * a.D + j;
    const Vec<T> m = load(a.m + at, n), v = load(a.v + at, n), sigma = square_root<T>(v);
    const Vec<T> u = 1 / (sigma + mean), w = 1 / (sigma + second);
    Vec<T> total = sum * u * (1 + spread * (mean * u) * (mean * w));
    bool close = true;
    for (int64_t i = 0; i < n; ++i) close &= sigma[i] >= least || m[i] == 0;
    if (!close) total = adam_terms<T>(sigma, x, history);
    store(a.p + at, load(a.p + at, n) - m * total, n);
    store(a.m + at, decay_m * m, n);
    store(a.v + at, decay_v * v, n);
  }
}

}  // namespace TEXTNN_ISA
