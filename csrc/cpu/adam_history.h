// What Adam does to a row of a table while its gradient is zero, for many steps at once.
//
// Adam (Kingma and Ba 2015) at step t, written with c_t = sqrt(1 - beta2^t):
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
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace textnn::cpu {

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

  double* at(int64_t s) const { return rows + (s - base) * kColumns; }
  double ratio() const { return beta1 / std::sqrt(beta2); }
  // Steps after which a weight is nothing.
  int64_t horizon() const {
    const double r = ratio();
    return r > 0 ? int64_t(std::ceil(std::log(kNothing) / std::log(r))) : 1;
  }

  // The next step, with B and e.
  void append(double step_size, double floor) {
    ++step;
    double* now = at(step);
    std::fill(now, now + kColumns, 0.0);
    now[0] = step_size;
    now[1] = floor;
    const double r = ratio(), growth = 1 / std::sqrt(beta2);
    double weight = step_size, e = floor;
    for (int64_t s = step - 1; s >= std::max(base, step - horizon()); --s) {
      weight *= r;
      e *= growth;
      double* moments = at(s) + 2;
      double term = weight;
      for (int j = 0; j < 5; ++j, term *= e) moments[j] += term;
    }
  }

  // For a row that has been at rest since step s.
  Missed missed(int64_t s) const {
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
    x.second = std::max(first, x.mean * (1 + third / variance));
    const double q = std::max(0.0, fourth - third * third / variance);
    x.least = x.mean * std::pow(q / kTolerance, 0.25) - first;
    return x;
  }
};

}  // namespace textnn::cpu
