// Convolution of vectors, for one instruction set (included through foreach_isa.h).
//
// K neighbouring tokens of a sentence are K*D neighbouring values, so the windows of a sentence are overlapping rows of
// one matrix product, without any unfolding:
//
//   rows x + w*D, each K*D long  x  weights [K*D, 4 vectors of channels]  ->  tile  ->  running maximum and window
//                                                                               or  ->  bias, activation, a row of y
//
// Each sentence is first copied between zero vectors, which gives short sentences and padding their meaning.

namespace TEXTNN_ISA {

template <class T>
class TextConvKernel {
  static constexpr int64_t L = kLanes<T>;

 public:
  explicit TextConvKernel(const TextConvForward<T>& a) : a_(a), k_(a.sizes), panels_(a.sizes.C, L, 1) {}

  void run(const ThreadPool& pool) {
    for (int64_t i = 0; i < k_.S; ++i) {
      before_ = std::max(before_, k_.left(i));
      after_ = std::max({after_, k_.taps[i], k_.padding});
    }
    const int64_t size = k_.taps_before(k_.S) * k_.D * panels_.vectors * L;
    Workspace workspace(Workspace::bytes<T>(size));
    weights_ = workspace.take<T>(size);
    for_units(pool, k_.S * panels_.count, [&](int64_t unit) { pack(unit / panels_.count, unit % panels_.count); });

    int64_t longest = 0;
    for (int64_t b = 0; b < a_.sentences.B; ++b) longest = std::max(longest, a_.sentences.length[b]);
    const int64_t scratch = (before_ + longest + after_) * k_.D;
    // A few sentences are shared out by panels as well.
    const int64_t parts = a_.sentences.B >= 4 * pool.threads ? 1 : k_.S * panels_.count;
    for_units(pool, a_.sentences.B * parts, [&](int64_t unit) {
      const int64_t b = unit / parts, part = unit % parts, length = a_.sentences.length[b];
      Workspace local(Workspace::bytes<T>(scratch));
      T* x = local.take<T>(scratch);
      std::memset(x, 0, before_ * k_.D * sizeof(T));
      if (length > 0) std::memcpy(x + before_ * k_.D, a_.x + a_.sentences.start[b] * k_.D, length * k_.D * sizeof(T));
      std::memset(x + (before_ + length) * k_.D, 0, after_ * k_.D * sizeof(T));
      for (int64_t p = part; p < k_.S * panels_.count; p += parts)
        with_constant<kMaxVectors>(int(width(p % panels_.count)), [&](auto N) {
          if (k_.every)
            panel<N, true>(b, p / panels_.count, p % panels_.count, x);
          else
            panel<N, false>(b, p / panels_.count, p % panels_.count, x);
        });
    });
  }

 private:
  int64_t width(int64_t p) const { return panels_.begin(p + 1) - panels_.begin(p); }
  T* packed(int64_t i, int64_t p) const {
    return weights_ + (k_.taps_before(i) * panels_.vectors + k_.taps[i] * panels_.begin(p)) * k_.D * L;
  }

  void pack(int64_t i, int64_t p) {
    const int64_t K = k_.taps[i], D = k_.D, n = width(p) * L;
    T* panel = packed(i, p);
    for (int64_t v = 0; v < n; ++v) {
      const int64_t c = panels_.begin(p) * L + v;
      for (int64_t d = 0; d < D; ++d)
        for (int64_t k = 0; k < K; ++k)
          panel[(k * D + d) * n + v] = c < k_.C ? a_.weight[i][(c * D + d) * K + k] : T(0);
    }
  }

  template <int N, bool Every>
  void panel(int64_t b, int64_t i, int64_t p, const T* x) {
    const int64_t D = k_.D, K = k_.taps[i], stride = Every ? k_.stride : 1;
    const T* first_window = x + (before_ - k_.left(i)) * D;
    RunningMax<T, N> max;
    max.start();
    for_row_tiles(0, k_.windows(i, a_.sentences.length[b]), [&](auto R, int64_t w) {
      const T* rows[R];
      for (int r = 0; r < R; ++r) rows[r] = first_window + (w + r) * stride * D;
      Tile<T, R, N> tile;
      tile.clear();
      tile.multiply_add(rows, packed(i, p), K * D);
      for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) {
          if constexpr (Every)
            store_window(tile.acc[r][n], k_.activation, a_.bias[i], (panels_.begin(p) + n) * L, k_.C,
                         a_.y + ((a_.row[b] + w + r) * k_.S + i) * k_.C);
          else
            max.see(n, tile.acc[r][n], w + r);
        }
    });
    if (Every) return;
    const int64_t column = b * k_.S * k_.C + i * k_.C;
    for (int n = 0; n < N; ++n)
      max.finish(n, k_.activation, a_.bias[i], (panels_.begin(p) + n) * L, k_.C, a_.y + column,
                 a_.window ? a_.window + column : nullptr);
  }

  const TextConvForward<T>& a_;
  const TextConvKernelSizes& k_;
  const Panels panels_;
  int64_t before_ = 0, after_ = 0;  // zero vectors around a sentence
  T* weights_ = nullptr;            // for each kernel and panel [K * D, N, L]
};

template <class T>
void text_conv_forward(const ThreadPool& pool, const TextConvForward<T>& args) {
  TextConvKernel<T>(args).run(pool);
}

}  // namespace TEXTNN_ISA
