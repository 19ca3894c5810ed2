// Adam (Kingma and Ba 2015) on the rows of a table: one step, and what it does to a row while its gradient is zero, for
// many steps at once.
//
// At step t, written with c_t = sqrt(1 - beta2^t):
//
//   p -= B_t * m_t / (sqrt(v_t) + e_t)          B_t = lr_t * c_t / (1 - beta1^t)          e_t = eps * c_t
//
// A row last updated at step s has m_(s+k) = beta1^k m and v_(s+k) = beta2^k v, so that the steps s + 1 .. t move it by
//
//   m * sum over k of w_k / (sigma + e_k)       sigma = sqrt(v)    w_k = B_(s+k) r^k    e_k = e_(s+k) beta2^(-k/2)
//
// with r = beta1 / sqrt(beta2) < 1. The w_k and e_k depend on s and t alone. Their moments M_j(s) = sum of w_k e_k^j,
// j = 0..4, are kept for every s and brought up to date at each step: t adds one positive term to each of the M(s), and
// none of weight to an s that lies so far back that r^(t-s) is nothing. There is no difference of two prefix sums, so
// nothing cancels.
//
// With a the mean of e_k under the weights w_k, V and mu their second and third central moments, b = a + mu / V:
//
//   sum of w_k / (sigma + e_k)  =  M_0 / (sigma + a) * (1 + V / ((sigma + a) (sigma + b)) + R)
//
// (the mean of 1 / (sigma + e) expanded about a, and the remainder, an integral of the same kind, about its own mean
// b); 0 <= R <= Q / ((sigma + b)^2 (sigma + a) (sigma + e_1)), Q = mu_4 - mu^2 / V. Where this bound is above
// kTolerance, that is for tiny sigma and in the first hundred steps, the terms are added one by one.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include "host_device.h"

namespace textnn::math {

template <class T>
struct AdamTable {
  int64_t V, D;
  T* p;  // [V, D] the parameter
  T* m;  // [V, D] its moments
  T* v;  // [V, D]
};

// The gradients of some rows.
template <class T>
struct RowGradients {
  int64_t U;
  const int64_t* row;  // [U] distinct rows of the table
  const T* g;          // [U, D]
};

// One step: p -= step_size * m / (sqrt(v) + floor), with the moments just updated.
struct AdamStep {
  double step_size, floor, beta1, beta2;
};

template <class T>
constexpr T kLeastNormal = std::numeric_limits<T>::min();

// eps may be 0, and 0 / 0 is no step.
template <class T>
TEXTNN_HOST_DEVICE inline T adam_floor(double floor) {
  return T(floor) > kLeastNormal<T> ? T(floor) : kLeastNormal<T>;
}

// The numbers of a step in the table's type.
template <class T>
struct AdamRates {
  T step_size, floor, keep_m, take_m, keep_v, take_v;

  explicit AdamRates(const AdamStep& s)
      : step_size(T(s.step_size)),
        floor(adam_floor<T>(s.floor)),
        keep_m(T(s.beta1)),
        take_m(T(1 - s.beta1)),
        keep_v(T(s.beta2)),
        take_v(T(1 - s.beta2)) {}
};

// V is a scalar in the CUDA kernels and a vector of elements of a row in the CPU kernels, which take its root
// themselves.
template <class T, class V>
TEXTNN_HOST_DEVICE inline void adam_moments(const AdamRates<T>& s, const V& g, V& m, V& v) {
  m = s.keep_m * m + s.take_m * g;
  v = s.keep_v * v + s.take_v * (g * g);
}
// How far a step goes, with sigma = sqrt(v).
template <class T, class V>
TEXTNN_HOST_DEVICE inline V adam_movement(const AdamRates<T>& s, const V& m, const V& sigma) {
  return s.step_size * m / (sigma + s.floor);
}

// The missed steps of a row, as numbers for its elements.
struct Missed {
  int64_t since, count;     // the steps since + 1 .. since + count
  double sum;               // M_0
  double mean, second;      // a and b
  double spread;            // V / a^2
  double least;             // the smallest sigma for which the formula holds
  double decay_m, decay_v;  // beta1^count and beta2^count
};

struct AdamHistory {
  static constexpr int64_t kColumns = 7;
  static constexpr double kTolerance = 1e-7;  // of the movement
  static constexpr double kNothing = 1e-18;   // a weight below this part of the first one adds nothing

  double* rows;  // [capacity + 1, 7] for each step from `base` on: B, e, M_0 .. M_4
  int64_t base;  // no row is further behind than this step
  int64_t step;  // the last step
  double beta1, beta2;

  TEXTNN_HOST_DEVICE double* at(int64_t s) const { return rows + (s - base) * kColumns; }
  TEXTNN_HOST_DEVICE double ratio() const { return beta1 / std::sqrt(beta2); }
  // Steps after which a weight is nothing.
  TEXTNN_HOST_DEVICE int64_t horizon() const {
    const double r = ratio();
    return r > 0 ? int64_t(std::ceil(std::log(kNothing) / std::log(r))) : 1;
  }
  // The first step whose moments the next step changes.
  TEXTNN_HOST_DEVICE int64_t first_changed() const {
    const int64_t far = step + 1 - horizon();
    return base > far ? base : far;
  }

  // What a later step adds to the moments of step s, with its B and e as seen from there.
  TEXTNN_HOST_DEVICE void add(int64_t s, double weight, double e) const {
    double* moments = at(s) + 2;
    double term = weight;
    for (int j = 0; j < 5; ++j, term *= e) moments[j] += term;
  }
  TEXTNN_HOST_DEVICE void begin(int64_t s, double step_size, double floor) const {
    double* now = at(s);
    now[0] = step_size;
    now[1] = floor;
    for (int64_t i = 2; i < kColumns; ++i) now[i] = 0;
  }

  // The next step, with B and e.
  void append(double step_size, double floor) {
    const double r = ratio(), growth = 1 / std::sqrt(beta2);
    double weight = step_size, e = floor;
    for (int64_t s = step, first = first_changed(); s >= first; --s) {
      weight *= r;
      e *= growth;
      add(s, weight, e);
    }
    begin(++step, step_size, floor);
  }

  // For a row that has been at rest since step s.
  TEXTNN_HOST_DEVICE Missed missed(int64_t s) const {
    const double* moments = at(s) + 2;
    const int64_t n = step - s;
    Missed x{s, n, moments[0], 0, 0, 0, 0, std::pow(beta1, double(n)), std::pow(beta2, double(n))};
    const double first = n > 0 ? at(s + 1)[1] / std::sqrt(beta2) : 0;  // e_k rises with k
    x.mean = x.second = first;
    if (!(x.sum > 0) || !(first > 0)) return x;
    double z[5];  // moments in units of the mean: far from what a double cannot hold, whatever eps is
    x.mean = moments[1] / x.sum;
    double unit = 1;
    for (int j = 0; j < 5; ++j, unit *= x.mean) z[j] = moments[j] / (x.sum * unit);
    const double variance = z[2] - 1;
    if (variance < 1e-12) return x;  // the rounding of the moments; as a spread it moves nothing
    const double third = z[3] - 3 * z[2] + 2, fourth = z[4] - 4 * z[3] + 6 * z[2] - 3;
    x.spread = variance;
    const double second = x.mean * (1 + third / variance), q = fourth - third * third / variance;
    x.second = first > second ? first : second;
    x.least = (q > 0 ? x.mean * std::pow(q / kTolerance, 0.25) : 0) - first;
    return x;
  }
};

// The sum of w_k / (sigma + e_k) by the formula, right where sigma is at least x.least.
template <class T, class V>
TEXTNN_HOST_DEVICE inline V adam_formula(const Missed& x, const V& sigma) {
  const T mean = adam_floor<T>(x.mean), second = adam_floor<T>(x.second);
  const V u = 1 / (sigma + mean), w = 1 / (sigma + second);
  return T(x.sum) * u * (1 + T(x.spread) * (mean * u) * (mean * w));
}

// The same term by term.
template <class T, class V>
TEXTNN_HOST_DEVICE inline V adam_terms(const Missed& x, const AdamHistory& history, const V& sigma) {
  const double r = history.ratio(), growth = 1 / std::sqrt(history.beta2);
  const int64_t horizon = history.horizon(), count = x.count < horizon ? x.count : horizon;
  double weight = 1, scale = 1;
  V sum = {};
  for (int64_t k = 1; k <= count; ++k) {
    weight *= r;
    scale *= growth;
    const double* step = history.at(x.since + k);
    sum += T(step[0] * weight) / (sigma + adam_floor<T>(step[1] * scale));
  }
  return sum;
}

}  // namespace textnn::math
