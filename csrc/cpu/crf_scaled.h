// The scaled recursions of a CRF on one sequence (crf.h), for one instruction set (included through foreach_isa.h).
// Rows of scratch have Kp elements, K rounded up to vectors; the elements behind K are zero.

namespace TEXTNN_ISA {

template <class T>
int64_t padded_tags(int64_t K) {
  return (K + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

// One number from all lanes: f on halves, quarters, ...
template <class T, class V, class F>
[[gnu::always_inline]] inline T across(const V& v, F&& f) {
  if constexpr (sizeof(V) == 2 * sizeof(T)) {
    return f(v[0], v[1]);
  } else {
    typedef T half __attribute__((vector_size(sizeof(V) / 2)));
    half low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return across<T>(half(f(low, high)), f);
  }
}
struct Add {
  template <class V>
  [[gnu::always_inline]] inline V operator()(const V& a, const V& b) const {
    return a + b;
  }
};
struct Max {
  template <class V>
  [[gnu::always_inline]] inline V operator()(const V& a, const V& b) const {
    return a > b ? a : b;
  }
};
struct Min {
  template <class V>
  [[gnu::always_inline]] inline V operator()(const V& a, const V& b) const {
    return a < b ? a : b;
  }
};
template <class T>
[[gnu::always_inline]] inline T sum_across(const Vec<T>& v) {
  return across<T>(v, Add());
}
template <class T>
[[gnu::always_inline]] inline T max_across(const Vec<T>& v) {
  return across<T>(v, Max());
}
template <class T>
[[gnu::always_inline]] inline T min_across(const Vec<T>& v) {
  return across<T>(v, Min());
}

// The first n lanes of scores, -inf in the others.
template <class T>
[[gnu::always_inline]] inline Vec<T> load_scores(const T* p, int64_t n) {
  if (n >= kLanes<T>) return load(p);
  IVec<T> lane;
  for (int64_t i = 0; i < kLanes<T>; ++i) lane[i] = Int<T>(i);
  return lane < Int<T>(n) ? load(p, n) : broadcast<T>(-std::numeric_limits<T>::infinity());
}

// put(j, vector from column j on) of a [K] m [K, Kp]; products added in the same order whatever the other rows are.
template <class T, class Put>
[[gnu::always_inline]] inline void times(const T* a, const T* m, int64_t K, int64_t Kp, Put&& put) {
  const int64_t vectors = Kp / kLanes<T>, blocks = (vectors + kMaxVectors - 1) / kMaxVectors;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = block * vectors / blocks, next = (block + 1) * vectors / blocks;
    with_constant<kMaxVectors>(int(next - first), [&](auto V) {
      constexpr int kChains = V == 1 ? 4 : 2;  // sums that do not wait for each other
      Vec<T> sum[kChains][V] = {};
      const T* from = m + first * kLanes<T>;
      int64_t i = 0;
      for (; i + kChains <= K; i += kChains)
        for (int c = 0; c < kChains; ++c) {
          const Vec<T> factor = broadcast(a[i + c]);
          for (int v = 0; v < V; ++v) sum[c][v] += factor * load(from + (i + c) * Kp + v * kLanes<T>);
        }
      for (; i < K; ++i)
        for (int v = 0; v < V; ++v) sum[0][v] += broadcast(a[i]) * load(from + i * Kp + v * kLanes<T>);
      for (int v = 0; v < V; ++v) {
        for (int c = 1; c < kChains; ++c) sum[0][v] += sum[c][v];
        put((first + v) * kLanes<T>, sum[0][v]);
      }
    });
  }
}

// What all sequences share: exponentials of the transitions and of the end scores.
template <class T>
struct Scaled {
  int64_t K, Kp;
  T *m, *mt;           // [K, Kp] exp(transitions - top), and transposed
  T *start, *end;      // [Kp] start scores; exp(end - end_top)
  T top, end_top;      // 0 where there is no finite score
  T least, end_least;  // the smallest number of m and of end that stands for a finite score; 0 where one is lost
  bool bounded;        // nothing that is lost can matter

  static size_t bytes(int64_t K) {
    const int64_t Kp = padded_tags<T>(K);
    return 2 * Workspace::bytes<T>(K * Kp) + 2 * Workspace::bytes<T>(Kp);
  }

  Scaled(Workspace& work, int64_t K_, const T* start_, const T* end_, const T* transitions)
      : K(K_), Kp(padded_tags<T>(K_)) {
    m = work.take<T>(K * Kp);
    mt = work.take<T>(K * Kp);
    start = work.take<T>(Kp);
    end = work.take<T>(Kp);
    const T none = -std::numeric_limits<T>::infinity();
    bool all = true, all_end = true;
    T low, low_end;
    range(transitions, K * K, top, low, all);
    range(end_, K, end_top, low_end, all_end);
    bounded = all && all_end && top - low <= kSpread<T> && end_top - low_end <= kSpread<T>;
    for (int64_t i = 0; i < K; ++i) exponentials(transitions + i * K, top, m + i * Kp);
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t i = 0; i < K; ++i) mt[j * Kp + i] = m[i * Kp + j];
      for (int64_t i = K; i < Kp; ++i) mt[j * Kp + i] = 0;
    }
    exponentials(end_, end_top, end);
    std::copy(start_, start_ + K, start);
    std::fill(start + K, start + Kp, none);
    const auto smallest = [](T lowest, T highest) {
      return lowest - highest < -VectorMath<T>::kBound ? T(0) : std::exp(lowest - highest);
    };
    least = smallest(low, top);
    end_least = smallest(low_end, end_top);
  }

 private:
  // Of the scores that are not -inf; without any both are 0. all: whether there are only such.
  static void range(const T* p, int64_t n, T& high, T& low, bool& all) {
    const T infinity = std::numeric_limits<T>::infinity();
    high = -infinity;
    low = infinity;
    for (int64_t i = 0; i < n; ++i) {
      if (p[i] > high) high = p[i];
      if (p[i] > -infinity && p[i] < low) low = p[i];
      all &= p[i] > -infinity && p[i] < infinity;
    }
    if (high == -infinity) high = low = 0;
  }
  void exponentials(const T* p, T top_, T* to) const {
    for (int64_t j = 0; j < Kp; j += kLanes<T>) store(to + j, exp_or_zero<T>(load_scores(p + j, K - j) - top_));
  }
};

// Whether numbers have been lost, of sequences for which that might matter.
template <class T>
struct Tracked {
  // What products have to reach, so that they may still be divided by the sum of K numbers up to 1.
  static T floor(int64_t K) { return T(2 * K) * std::numeric_limits<T>::min(); }

  Vec<T> lowest;
  Tracked() : lowest(broadcast<T>(1)) {}  // written out: an implicit one would not be of the instruction set

  // Of numbers whose zeros are true ones.
  [[gnu::always_inline]] inline void see(const Vec<T>& v) {
    const Vec<T> nonzero = v == 0 ? broadcast<T>(1) : v;
    lowest = nonzero < lowest ? nonzero : lowest;
  }
  // Of exponentials of scores; those of finite ones are not truly zero.
  [[gnu::always_inline]] inline void see(const Vec<T>& v, const Vec<T>& score) {
    const Vec<T> finite = score > -std::numeric_limits<T>::infinity() ? v : broadcast<T>(1);
    lowest = finite < lowest ? finite : lowest;
  }
  T least() const { return min_across<T>(lowest); }
};

// p [Kp] = exp(x + plus - their maximum), and the maximum; plus may be null. least: of p where scores are finite.
template <class T>
[[gnu::always_inline]] inline double exponentials_of_row(const T* x, const T* plus, int64_t K, int64_t Kp, T* p,
                                                         T* least) {
  constexpr int64_t L = kLanes<T>;
  const auto highest = [&](auto&& score) {
    Vec<T> high = broadcast<T>(-std::numeric_limits<T>::infinity());
    for (int64_t j = 0; j < Kp; j += L) {
      const Vec<T> v = score(j);
      store(p + j, v);
      high = (v > high) | (v != v) ? v : high;
    }
    return max_across<T>(high);
  };
  T top = highest([&](int64_t j) { return load_scores(x + j, K - j); });
  double sum = top;
  if (plus && sum > -std::numeric_limits<double>::infinity()) {  // small numbers are added to differences
    const T first = top;
    top = highest([&](int64_t j) { return load(p + j) - first + load(plus + j); });
    sum += top;
  }
  Tracked<T> tracked;
  for (int64_t j = 0; j < Kp; j += L) {
    const Vec<T> v = load(p + j), e = exp_or_zero<T>(v - top);
    if (least) tracked.see(e, v);
    store(p + j, e);
  }
  if (least) *least = tracked.least();
  return sum;
}

// One sequence: its rows of x and of whatever goes with them.
template <class T>
struct Rows {
  const T* x;
  int64_t stride, length;
};

// log Z of a sequence, and alphas with their own stride. work [3 Kp]. False if it is not safe.
template <class T>
bool scaled_forward(const Scaled<T>& s, const Rows<T>& rows, T* alphas, int64_t alphas_stride, T* work, double& log_z) {
  constexpr int64_t L = kLanes<T>;
  const int64_t K = s.K, Kp = s.Kp;
  T *p = work, *alpha = work + Kp, *next = work + 2 * Kp;
  const bool track = !s.bounded;
  double product = 1, sum = double(s.end_top) + double(rows.length - 1) * s.top;
  T least = 1;  // of alpha
  for (int64_t t = 0; t < rows.length; ++t) {
    T row_least = 1;
    const double top = exponentials_of_row<T>(rows.x + t * rows.stride, t == 0 ? s.start : nullptr, K, Kp, p,
                                              track ? &row_least : nullptr);
    if (top == -std::numeric_limits<double>::infinity()) {
      log_z = top;
      return true;
    }
    if (track && !(least * (t == 0 ? T(1) : s.least) * row_least >= Tracked<T>::floor(K))) return false;
    sum += top;
    Vec<T> total = {};
    if (t == 0) {
      for (int64_t j = 0; j < Kp; j += L) {
        const Vec<T> v = load(p + j);
        store(next + j, v);
        total += v;
      }
    } else {
      times(alpha, s.m, K, Kp, [&](int64_t j, const Vec<T>& v) {
        const Vec<T> a = v * load(p + j);
        store(next + j, a);
        total += a;
      });
    }
    const T scale = sum_across<T>(total);
    if (scale == 0) {  // no path; where numbers could have been lost, that was found above
      log_z = -std::numeric_limits<double>::infinity();
      return true;
    }
    product *= scale;
    if (!(product > 1e-200 && product < 1e200)) {
      sum += std::log(product);
      product = 1;
    }
    const T inverse = 1 / scale;
    Tracked<T> tracked;
    for (int64_t j = 0; j < Kp; j += L) {
      const Vec<T> a = load(next + j) * inverse;
      if (track) tracked.see(a);
      store(alpha + j, a);
      if (alphas) store(alphas + t * alphas_stride + j, a, K - j);
    }
    if (track) least = tracked.least();
  }
  if (track && !(least * s.end_least >= Tracked<T>::floor(K))) return false;
  Vec<T> total = {};
  for (int64_t j = 0; j < Kp; j += L) total += load(alpha + j) * load(s.end + j);
  log_z = sum + std::log(product * sum_across<T>(total));
  return true;
}

// put(t, j, marginals from tag j on) of a sequence from its alphas, and in w [length, Kp] what the gradient of the
// transitions is made of: it is m[i][j] sum_t alpha_(t-1)[i] w_t[j]. work [2 Kp]. False if it is not safe.
template <class T, class Put>
bool scaled_backward(const Scaled<T>& s, const Rows<T>& rows, const T* alphas, int64_t alphas_stride, T* w, T* work,
                     Put&& put) {
  constexpr int64_t L = kLanes<T>;
  const int64_t K = s.K, Kp = s.Kp;
  T *beta = work, *p = work + Kp;
  const bool track = !s.bounded;
  std::copy(s.end, s.end + Kp, beta);
  for (int64_t t = rows.length - 1; t >= 0; --t) {
    // Scaled so that the marginals sum to one.
    const T* alpha = alphas + t * alphas_stride;
    Vec<T> total = {};
    for (int64_t j = 0; j < Kp; j += L) total += load(alpha + j, K - j) * load(beta + j);
    const T inverse = 1 / sum_across<T>(total);
    Tracked<T> tracked;
    for (int64_t j = 0; j < Kp; j += L) {
      const Vec<T> a = load(alpha + j, K - j);
      // Of a tag that cannot be reached beta may be any number.
      const Vec<T> b = a == 0 ? Vec<T>{} : load(beta + j) * inverse;
      if (track) tracked.see(b);
      store(beta + j, b);
      put(t, j, a * b);
    }
    if (t + 1 < rows.length)  // w_(t+1) is p_(t+1) beta_(t+1) so far
      for (int64_t j = 0; j < Kp; j += L) store(w + (t + 1) * Kp + j, load(w + (t + 1) * Kp + j) * inverse);
    if (t == 0) break;
    T row_least = 1;
    exponentials_of_row<T>(rows.x + t * rows.stride, nullptr, K, Kp, p, track ? &row_least : nullptr);
    if (track && !(tracked.least() * row_least * s.least >= Tracked<T>::floor(K))) return false;
    for (int64_t j = 0; j < Kp; j += L) store(w + t * Kp + j, load(p + j) * load(beta + j));
    times(w + t * Kp, s.mt, K, Kp, [&](int64_t j, const Vec<T>& v) { store(beta + j, v); });
  }
  return true;
}

// sum [K, Kp] += factor * sum_t alpha_(t-1)^T w_t.
template <class T>
void add_pairs(int64_t K, int64_t Kp, int64_t length, T factor, const T* alphas, int64_t alphas_stride, const T* w,
               T* sum) {
  constexpr int64_t L = kLanes<T>, kTags = 4, kWide = 2;
  const int64_t vectors = Kp / L;
  for (int64_t i = 0; i < K; i += kTags)
    with_constant<kTags>(int(std::min(kTags, K - i)), [&](auto tags) {
      constexpr int I = tags;
      for (int64_t v = 0; v < vectors; v += kWide)
        with_constant<kWide>(int(std::min(kWide, vectors - v)), [&](auto wide) {
          constexpr int V = wide;
          Vec<T> total[I][V] = {};
          for (int64_t t = 1; t < length; ++t) {
            const T *a = alphas + (t - 1) * alphas_stride + i, *from = w + t * Kp + v * L;
            for (int n = 0; n < V; ++n) {
              const Vec<T> column = load(from + n * L);
              for (int k = 0; k < I; ++k) total[k][n] += broadcast(a[k]) * column;
            }
          }
          for (int k = 0; k < I; ++k)
            for (int n = 0; n < V; ++n) {
              T* to = sum + (i + k) * Kp + (v + n) * L;
              store(to, load(to) + factor * total[k][n]);
            }
        });
    });
}

}  // namespace TEXTNN_ISA
