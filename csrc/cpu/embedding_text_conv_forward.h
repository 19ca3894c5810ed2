// Convolution of token ids, for one instruction set (included through foreach_isa.h).
//
// A unit of work is one kernel and a few vectors of its channels; units need nothing of each other.
//
//   vectors of the distinct tokens [U, D]  x  weights of all K taps  ->  P [U, K, channels]        small enough for the
//   cache for each window of each sentence:  z = sum over taps k of P[token[window + k], k]   K loads and adds instead
//   of 2*K*D maximum of z and its window in registers; bias and activation once for each sentence and channel
//
// A batch of text repeats its words, so U is a fraction of the N positions (0.2 to 0.5 for batches of reviews).

namespace TEXTNN_ISA {

template <class Product>
class EmbeddingTextConvKernel {
  using T = typename Product::T;
  using Value = typename Product::Value;
  static constexpr int64_t L = kLanes<T>, kLine = 64 / int64_t(sizeof(T));
  static constexpr bool kRounds = Product::kRounds;

 public:
  explicit EmbeddingTextConvKernel(const EmbeddingTextConvForward<T>& a) : a_(a), k_(a.sizes) {}

  void run(const ThreadPool& pool) {
    const int64_t depth = Product::depth(k_.D), rounded = kRounds ? a_.U * depth : 0;
    Workspace workspace(Workspace::bytes<Value>(rounded));
    rows_ = workspace.take<Value>(rounded);
    if constexpr (kRounds) {
      constexpr int64_t kRows = 128;
      for_units(pool, (a_.U + kRows - 1) / kRows, [&](int64_t block) {
        for (int64_t u = block * kRows; u < std::min(a_.U, (block + 1) * kRows); ++u)
          Product::round(a_.table + a_.distinct[u] * k_.D, k_.D, rows_ + u * depth);
      });
    }
    const auto units = plan_units(k_, a_.U * int64_t(sizeof(T)) * L, kMaxVectors, (k_.C + L - 1) / L, pool.threads);
    for_units(pool, int64_t(units.size()), [&](int64_t u) {
      with_constant<kMaxVectors>(int(units[u].vectors), [&](auto N) { unit<N>(units[u]); });
    });
  }

 private:
  template <int N>
  void unit(const ConvUnit& u) {
    const int64_t K = k_.taps[u.i], width = K * N;  // vectors in a row of P
    const int64_t depth = Product::depth(k_.D), transposed = k_.D * width * L;
    Workspace workspace(Workspace::bytes<Value>(depth * width * L) + Workspace::bytes<T>(transposed) +
                        Workspace::bytes<T>(a_.U * width * L));
    [[maybe_unused]] const typename Product::Session session;
    Value* weights = workspace.take<Value>(depth * width * L);
    T* scratch = workspace.take<T>(transposed);
    T* P = workspace.take<T>(a_.U * width * L);
    pack<N>(u, scratch, weights);
    for (int64_t first = 0; first < width; first += kMaxVectors)
      with_constant<kMaxVectors>(int(std::min<int64_t>(kMaxVectors, width - first)),
                                 [&](auto M) { multiply<M>(weights + first * depth * L, P + first * L, width * L); });
    for (int64_t b = 0; b < a_.sentences.B; ++b) k_.every ? every_window<N>(u, b, P) : sentence<N>(u, b, P);
  }

  // Weights [C, D, K] of the unit's channels to panels of at most kMaxVectors vectors of a row of P, in which vector
  // k * N + j holds tap k of the unit's j-th channels. scratch: [D, K, N, L].
  template <int N>
  void pack(const ConvUnit& u, T* scratch, Value* panels) {
    const int64_t width = k_.taps[u.i] * N;
    transpose_channels(k_, a_.weight[u.i], u.i, u.first * L, N * L, scratch);
    for (int64_t first = 0; first < width; first += kMaxVectors) {
      const int64_t n = std::min<int64_t>(kMaxVectors, width - first);
      panels = gather_rows<Product>(scratch + first * L, width * L, k_.D, n * L, panels);
    }
  }

  template <int M>
  void multiply(const Value* panel, T* P, int64_t stride) {
    const int64_t depth = Product::depth(k_.D);
    Product::for_row_tiles(0, a_.U, [&](auto R, auto count, int64_t first) {
      const Value* rows[R];
      if constexpr (kRounds) {
        for (int r = 0; r < count; ++r) rows[r] = rows_ + (first + r) * depth;
      } else {
        for (int r = 0; r < R; ++r) rows[r] = a_.table + a_.distinct[first + r] * k_.D;
        for (int64_t u = first + R; u < std::min(first + R + kMaxRows, a_.U); ++u)
          for (int64_t d = 0; d < k_.D; d += kLine) __builtin_prefetch(a_.table + a_.distinct[u] * k_.D + d);
      }
      typename Product::template Tile<R, M> tile;
      tile.clear();
      Product::template accumulate<0, M>(tile, count, rows, panel, depth);
      for (int r = 0; r < count; ++r)
        for (int m = 0; m < M; ++m) store(P + (first + r) * stride + m * L, tile.acc[r][m]);
    });
  }

  template <int N>
  void sentence(const ConvUnit& u, int64_t b, const T* P) {
    const int64_t K = k_.taps[u.i], all = a_.sentences.length[b], stride = K * N * L;
    const int32_t* token = a_.token + a_.sentences.start[b];
    const int64_t left_out = repeated_tail(token, all, K), length = all - left_out;
    RunningMax<T, N> max;
    max.start();
    for_windows<T, N>(
        K, k_.left(u.i), length, k_.windows(u.i, length), 1,
        [&](int64_t t, int64_t k) { return P + token[t] * stride + k * N * L; },
        [&](const Vec<T>(&z)[N], int64_t w) {
          // Windows that reach beyond the sentence stand behind those left out.
          const int64_t at = w - k_.left(u.i) + K > length ? w + left_out : w;
          for (int n = 0; n < N; ++n) max.see(n, z[n], at);
        });
    const int64_t column = b * k_.S * k_.C + u.i * k_.C;
    for (int n = 0; n < N; ++n)
      max.finish(n, k_.activation, a_.bias[u.i], (u.first + n) * L, k_.C, a_.y + column,
                 a_.window ? a_.window + column : nullptr);
  }

  template <int N>
  void every_window(const ConvUnit& u, int64_t b, const T* P) {
    const int64_t K = k_.taps[u.i], length = a_.sentences.length[b], stride = K * N * L;
    const int32_t* token = a_.token + a_.sentences.start[b];
    T* y = a_.y + (a_.row[b] * k_.S + u.i) * k_.C;
    for_windows<T, N>(
        K, k_.left(u.i), length, k_.windows(u.i, length), k_.stride,
        [&](int64_t t, int64_t k) { return P + token[t] * stride + k * N * L; },
        [&](const Vec<T>(&z)[N], int64_t w) {
          for (int n = 0; n < N; ++n)
            store_window(z[n], k_.activation, a_.bias[u.i], (u.first + n) * L, k_.C, y + w * k_.S * k_.C);
        });
  }

  const EmbeddingTextConvForward<T>& a_;
  const TextConvKernelSizes& k_;
  Value* rows_ = nullptr;  // [U, depth of D] of the distinct tokens, where products round
};

template <class T>
void embedding_text_conv_forward(const ThreadPool& pool, const EmbeddingTextConvForward<T>& args) {
  EmbeddingTextConvKernel<Exact<T>>(args).run(pool);
}
inline void embedding_text_conv_forward_bfloat16(const ThreadPool& pool, const EmbeddingTextConvForward<float>& args) {
  EmbeddingTextConvKernel<Bfloat16>(args).run(pool);
}

}  // namespace TEXTNN_ISA
