// The recursions of a CRF on one sequence in logarithms, and what sequences go through that the scaled recursion in
// their own type is not safe for: everything in double (crf.h). For one instruction set, included through
// foreach_isa.h.

namespace TEXTNN_ISA {

// put(j, log sum_i exp(a[i] + m[i][j])) over m [K, Kp], for vectors of j.
template <class Put>
void log_times(const double* a, const double* m, int64_t K, int64_t Kp, Put&& put) {
  using V = Vec<double>;
  constexpr double none = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < Kp; j += kLanes<double>) {
    V high = broadcast(none);
    for (int64_t i = 0; i < K; ++i) {
      const V v = a[i] + load(m + i * Kp + j);
      high = (v > high) | (v != v) ? v : high;
    }
    const V base = high == none ? V{} : high;
    V sum = {};
    for (int64_t i = 0; i < K; ++i) sum += exp_or_zero<double>(a[i] + load(m + i * Kp + j) - base);
    V result;
    for (int64_t lane = 0; lane < kLanes<double>; ++lane) result[lane] = base[lane] + std::log(sum[lane]);
    put(j, result);
  }
}

// Scores of all sequences as double, with -inf behind K, and their exponentials.
struct Wide {
  int64_t K, Kp;
  double *start, *end, *m, *mt;  // [Kp], [Kp], [K, Kp], transposed
  Scaled<double> scaled;

  static size_t bytes(int64_t K) {
    const int64_t Kp = padded_tags<double>(K);
    return Scaled<double>::bytes(K) + 2 * Workspace::bytes<double>(K * Kp) + 3 * Workspace::bytes<double>(Kp) +
           Workspace::bytes<double>(K * K);
  }

  template <class T>
  Wide(Workspace& work, int64_t K_, const T* start_, const T* end_, const T* transitions)
      : K(K_),
        Kp(padded_tags<double>(K_)),
        start(widened(work, start_, K, Kp)),
        end(widened(work, end_, K, Kp)),
        m(work.take<double>(K * Kp)),
        mt(work.take<double>(K * Kp)),
        scaled(work, K, start, end, widened(work, transitions, K * K, K * K)) {
    constexpr double none = -std::numeric_limits<double>::infinity();
    std::fill(m, m + K * Kp, none);
    std::fill(mt, mt + K * Kp, none);
    for (int64_t i = 0; i < K; ++i)
      for (int64_t j = 0; j < K; ++j) m[i * Kp + j] = mt[j * Kp + i] = double(transitions[i * K + j]);
  }

 private:
  template <class T>
  static double* widened(Workspace& work, const T* from, int64_t n, int64_t room) {
    double* to = work.take<double>(room);
    std::copy(from, from + n, to);
    std::fill(to + n, to + room, -std::numeric_limits<double>::infinity());
    return to;
  }
};

// One sequence in double. x [length, Kp].
class WideSequence {
 public:
  static size_t bytes(int64_t K, int64_t length) {
    const int64_t Kp = padded_tags<double>(K);
    return 3 * Workspace::bytes<double>(length * Kp) + Workspace::bytes<double>(3 * Kp) +
           Workspace::bytes<double>(K * Kp);
  }

  // try_scaled: whether scaling in double has not been tried yet.
  template <class T>
  WideSequence(Workspace& work, const Wide& wide, const Rows<T>& rows, bool try_scaled)
      : wide_(wide), length_(rows.length), Kp_(wide.Kp) {
    x_ = work.take<double>(length_ * Kp_);
    alphas_ = work.take<double>(length_ * Kp_);
    w_ = work.take<double>(length_ * Kp_);
    scratch_ = work.take<double>(3 * Kp_);
    pairs_ = work.take<double>(wide.K * Kp_);
    for (int64_t t = 0; t < length_; ++t) {
      std::copy(rows.x + t * rows.stride, rows.x + t * rows.stride + wide.K, x_ + t * Kp_);
      std::fill(x_ + t * Kp_ + wide.K, x_ + (t + 1) * Kp_, -std::numeric_limits<double>::infinity());
    }
    scaled_ = try_scaled && scaled_forward(wide.scaled, own(), alphas_, Kp_, scratch_, log_z_);
    if (!scaled_) forward();
  }

  double log_z() const { return log_z_; }

  // put(t, j, marginal); pairs(i, j, expected number of these transitions). False where no path is allowed.
  template <class Put, class Pairs>
  bool backward(Put&& put, Pairs&& pairs) {
    if (log_z_ == -std::numeric_limits<double>::infinity()) return false;
    const int64_t K = wide_.K;
    const auto each = [&](int64_t t, int64_t j, const Vec<double>& v) {
      for (int64_t lane = 0; lane < std::min(kLanes<double>, K - j); ++lane) put(t, j + lane, double(v[lane]));
    };
    std::fill(pairs_, pairs_ + K * Kp_, 0.0);
    if (scaled_ && scaled_backward(wide_.scaled, own(), alphas_, Kp_, w_, scratch_, each)) {
      add_pairs(K, Kp_, length_, 1.0, alphas_, Kp_, w_, pairs_);
      for (int64_t i = 0; i < K; ++i)
        for (int64_t j = 0; j < K; ++j) {
          const double m = wide_.scaled.m[i * Kp_ + j];
          if (m > 0) pairs(i, j, m * pairs_[i * Kp_ + j]);
        }
      return true;
    }
    if (scaled_) forward();
    logarithms(each);
    for (int64_t i = 0; i < K; ++i)
      for (int64_t j = 0; j < K; ++j) pairs(i, j, pairs_[i * Kp_ + j]);
    return true;
  }

 private:
  Rows<double> own() const { return {x_, Kp_, length_}; }

  void forward() {
    scaled_ = false;
    for (int64_t t = 0; t < length_; ++t) {
      const double* x = x_ + t * Kp_;
      double* alpha = alphas_ + t * Kp_;
      if (t == 0)
        for (int64_t j = 0; j < Kp_; ++j) alpha[j] = wide_.start[j] + x[j];
      else
        log_times(alpha - Kp_, wide_.m, wide_.K, Kp_,
                  [&](int64_t j, const Vec<double>& v) { store(alpha + j, v + load(x + j)); });
    }
    const double* last = alphas_ + (length_ - 1) * Kp_;
    double high = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t j = 0; j < wide_.K; ++j) high = std::max(high, last[j] + wide_.end[j]);
    if (high == -std::numeric_limits<double>::infinity() && !any_nan(last)) {
      log_z_ = high;
      return;
    }
    for (int64_t j = 0; j < wide_.K; ++j) sum += std::exp(last[j] + wide_.end[j] - high);
    log_z_ = high + std::log(sum);
  }

  bool any_nan(const double* last) const {
    for (int64_t j = 0; j < wide_.K; ++j)
      if (std::isnan(last[j] + wide_.end[j])) return true;
    return false;
  }

  template <class Each>
  void logarithms(Each&& each) {
    double *beta = scratch_, *next = scratch_ + Kp_;
    std::copy(wide_.end, wide_.end + Kp_, beta);
    for (int64_t t = length_ - 1; t >= 0; --t) {
      const double *alpha = alphas_ + t * Kp_, *before = alpha - Kp_, *x = x_ + t * Kp_;
      for (int64_t j = 0; j < Kp_; j += kLanes<double>)
        each(t, j, exp_or_zero<double>(load(alpha + j) + load(beta + j) - log_z_));
      if (t == 0) break;
      for (int64_t j = 0; j < Kp_; j += kLanes<double>) {
        const Vec<double> b = load(x + j) + load(beta + j);
        store(next + j, b);
        for (int64_t i = 0; i < wide_.K; ++i) {
          double* to = pairs_ + i * Kp_ + j;
          store(to, load(to) + exp_or_zero<double>(before[i] + load(wide_.m + i * Kp_ + j) + b - log_z_));
        }
      }
      log_times(next, wide_.mt, wide_.K, Kp_, [&](int64_t j, const Vec<double>& v) { store(beta + j, v); });
    }
  }

  const Wide& wide_;
  const int64_t length_, Kp_;
  double *x_, *alphas_, *w_, *scratch_, *pairs_;
  double log_z_ = 0;
  bool scaled_;
};

}  // namespace TEXTNN_ISA
