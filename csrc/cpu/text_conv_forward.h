// Convolution of vectors, for one instruction set (included through foreach_isa.h).
//
// K neighbouring tokens of a sentence are K*D neighbouring values, so the windows of a sentence are overlapping rows of
// one matrix product, without any unfolding:
//
//   rows x + w*D, each K*D long  x  weights [K*D, 4 vectors of channels]  ->  tile  ->  running maximum and window
//                                                                               or  ->  bias, activation, a row of y
//
// Each sentence is first copied between zero vectors, which gives short sentences and padding their meaning; windows
// over padding alone have no product. Where products round (precision.h) the copy is what is rounded.

namespace TEXTNN_ISA {

template <class Product>
class TextConvKernel {
  using T = typename Product::T;
  using Value = typename Product::Value;
  static constexpr int64_t L = kLanes<T>;

 public:
  explicit TextConvKernel(const TextConvForward<T>& a)
      : a_(a), k_(a.sizes), depth_(Product::depth(a.sizes.D)), panels_(a.sizes.C, L, 1) {}

  void run(const ThreadPool& pool) {
    for (int64_t i = 0; i < k_.S; ++i) {
      before_ = std::max(before_, std::min(k_.left(i), k_.taps[i] - 1));
      after_ = std::max(after_, k_.taps[i]);
    }
    const int64_t size = k_.taps_before(k_.S) * depth_ * panels_.vectors * L;
    Workspace workspace(Workspace::bytes<Value>(size));
    weights_ = workspace.take<Value>(size);
    for_units(pool, k_.S * panels_.count, [&](int64_t unit) { pack(unit / panels_.count, unit % panels_.count); });

    int64_t longest = 0;
    for (int64_t b = 0; b < a_.sentences.B; ++b) longest = std::max(longest, a_.sentences.length[b]);
    const int64_t scratch = (before_ + longest + after_) * depth_;
    // A few sentences are shared out by panels as well.
    const int64_t parts = a_.sentences.B >= 4 * pool.threads ? 1 : k_.S * panels_.count;
    for_units(pool, a_.sentences.B * parts, [&](int64_t unit) {
      const int64_t b = unit / parts, part = unit % parts, length = a_.sentences.length[b];
      [[maybe_unused]] const typename Product::Session session;
      Workspace local(Workspace::bytes<Value>(scratch));
      Value* x = local.take<Value>(scratch);
      std::memset(x, 0, before_ * depth_ * sizeof(Value));
      copy(a_.x + a_.sentences.start[b] * k_.D, length, x + before_ * depth_);
      std::memset(x + (before_ + length) * depth_, 0, after_ * depth_ * sizeof(Value));
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
  Value* packed(int64_t i, int64_t p) const {
    return weights_ + (k_.taps_before(i) * panels_.vectors + k_.taps[i] * panels_.begin(p)) * depth_ * L;
  }

  void copy(const T* from, int64_t tokens, Value* to) const {
    if constexpr (Product::kRounds)
      for (int64_t t = 0; t < tokens; ++t) Product::round(from + t * k_.D, k_.D, to + t * depth_);
    else if (tokens > 0)
      std::memcpy(to, from, tokens * k_.D * sizeof(T));
  }

  void pack(int64_t i, int64_t p) {
    const int64_t K = k_.taps[i], D = k_.D, n = width(p) * L;
    Workspace workspace(Workspace::bytes<T>(D * K * n));
    T* scratch = workspace.take<T>(D * K * n);  // [D, K, N, L]
    transpose_channels(k_, a_.weight[i], i, panels_.begin(p) * L, n, scratch);
    Value* panel = packed(i, p);
    for (int64_t k = 0; k < K; ++k) panel = gather_rows<Product>(scratch + k * n, K * n, D, n, panel);
  }

  template <int N, bool Every>
  void panel(int64_t b, int64_t i, int64_t p, const Value* x) {
    const int64_t K = k_.taps[i], left = k_.left(i), stride = Every ? k_.stride : 1;
    const int64_t length = a_.sentences.length[b], windows = k_.windows(i, length);
    const auto begin_before = [&](int64_t place) { return place > 0 ? (place - 1) / stride + 1 : 0; };
    // The windows with tokens under them: they begin less than K before the first one, and before the end.
    const int64_t first = std::min(windows, begin_before(left - K + 1));
    const int64_t last = Every ? std::clamp(begin_before(left + length), first, windows) : windows;
    if constexpr (Every) {
      const Vec<T> none{};
      for (int64_t w = first > 0 ? 0 : last; w < windows; w = w + 1 == first ? last : w + 1)
        for (int n = 0; n < N; ++n)
          store_window(none, k_.activation, a_.bias[i], (panels_.begin(p) + n) * L, k_.C,
                       a_.y + ((a_.row[b] + w) * k_.S + i) * k_.C);
    }
    RunningMax<T, N> max;
    max.start();
    Product::for_row_tiles(first, last, [&](auto R, auto count, int64_t w) {
      const Value* rows[R];
      for (int r = 0; r < count; ++r) rows[r] = x + (before_ + (w + r) * stride - left) * depth_;
      typename Product::template Tile<R, N> tile;
      tile.clear();
      Product::template accumulate<0, N>(tile, count, rows, packed(i, p), K * depth_);
      for (int r = 0; r < count; ++r)
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
  const int64_t depth_;  // Values of a token
  const Panels panels_;
  int64_t before_ = 0, after_ = 0;  // zero vectors around a sentence
  Value* weights_ = nullptr;        // for each kernel and panel [K, depth of D, N, L]
};

template <class T>
void text_conv_forward(const ThreadPool& pool, const TextConvForward<T>& args) {
  TextConvKernel<Exact<T>>(args).run(pool);
}
inline void text_conv_forward_bfloat16(const ThreadPool& pool, const TextConvForward<float>& args) {
  TextConvKernel<Bfloat16>(args).run(pool);
}

}  // namespace TEXTNN_ISA
