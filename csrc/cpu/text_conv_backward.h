// The backward pass of both convolutions, for one instruction set (included through foreach_isa.h).
//
// Each (sentence, channel) has one window that won; with g its gradient behind the activation, for each tap k of the
// window
//
//   dx[row of the tap's token] += g * weight[c, k]          dweight[c, k] += g * x[row of the tap's token]
//
// The embedding dimensions are shared out over the threads: a thread owns its columns of dx and of dweight, adds in a
// fixed order, and needs neither atomics nor a second copy. Windows without gradient (a ReLU at zero) are not visited.

namespace TEXTNN_ISA {

template <class T>
class TextConvBackwardKernel {
  static constexpr int64_t L = kLanes<T>;

 public:
  explicit TextConvBackwardKernel(const TextConvBackward<T>& a) : a_(a), k_(a.sizes) {}

  void run(const ThreadPool& pool) {
    if (a_.dbias) for_units(pool, k_.S * k_.C, [&](int64_t column) { bias(column); });
    if (!a_.dx && !a_.dweight_taps) return;
    // Zeros in long runs: by columns, as the additions below, they would cost several times as much.
    if (a_.dx) clear(pool, a_.dx, a_.dx_rows * k_.D);
    if (a_.dweight_taps) clear(pool, a_.dweight_taps, k_.taps_before(k_.S) * k_.C * k_.D);
    const int64_t vectors = (k_.D + L - 1) / L;
    const int64_t work = a_.sentences.B * k_.S * k_.C * k_.D;
    const int parts = int(std::min<int64_t>({pool.threads, vectors, work / kWorkPerThread + 1}));
    for_units(pool, parts, [&](int64_t part) {
      const Share share(vectors, int(part), parts);
      columns(share.begin * L, std::min(share.end * L, k_.D));
    });
  }

 private:
  static constexpr int64_t kWorkPerThread = 20000;

  T gradient(int64_t b, int64_t column) const {
    const int64_t at = b * k_.S * k_.C + column;
    return math::activation_backward(k_.activation, a_.y[at], a_.dy[at]);
  }

  void bias(int64_t column) {
    T sum = 0;
    for (int64_t b = 0; b < a_.sentences.B; ++b) sum += gradient(b, column);
    a_.dbias[column] = sum;
  }

  static void clear(const ThreadPool& pool, T* p, int64_t n) {
    constexpr int64_t kRun = 1 << 18;
    for_units(pool, (n + kRun - 1) / kRun,
              [&](int64_t unit) { std::memset(p + unit * kRun, 0, std::min(kRun, n - unit * kRun) * sizeof(T)); });
  }

  void columns(int64_t begin, int64_t end) {
    int64_t taps_before = 0;
    for (int64_t i = 0; i < k_.S; taps_before += k_.taps[i++] * k_.C)
      for (int64_t c = 0; c < k_.C; ++c) channel(i, c, (taps_before + c * k_.taps[i]) * k_.D, begin, end);
  }

  void channel(int64_t i, int64_t c, int64_t weight, int64_t begin, int64_t end) {
    const int64_t K = k_.taps[i], D = k_.D, left = k_.left(i), column = i * k_.C + c;
    for (int64_t b = 0; b < a_.sentences.B; ++b) {
      const T g = gradient(b, column);
      if (g == T(0)) continue;
      const int64_t first = a_.window[b * k_.S * k_.C + column] - left, length = a_.sentences.length[b];
      for (int64_t k = std::max<int64_t>(0, -first); k < std::min(K, length - first); ++k) {
        const int64_t n = a_.sentences.start[b] + first + k;
        if (a_.dx) add(a_.dx + (a_.dx_row ? a_.dx_row[n] : n) * D, g, a_.weight_taps + weight + k * D, begin, end);
        if (a_.dweight_taps)
          add(a_.dweight_taps + weight + k * D, g, a_.x + (a_.x_row ? a_.x_row[n] : n) * D, begin, end);
      }
    }
  }

  // to[d] += g * from[d]
  static inline void add(T* to, T g, const T* from, int64_t begin, int64_t end) {
    int64_t d = begin;
    for (; d + L <= end; d += L) store(to + d, load(to + d) + g * load(from + d));
    if (d < end) store(to + d, load(to + d, end - d) + g * load(from + d, end - d), end - d);
  }

  const TextConvBackward<T>& a_;
  const TextConvKernelSizes& k_;
};

template <class T>
void text_conv_backward(const ThreadPool& pool, const TextConvBackward<T>& args) {
  TextConvBackwardKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
