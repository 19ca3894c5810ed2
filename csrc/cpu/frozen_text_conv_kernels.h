// Frozen text convolution for one instruction set (included through foreach_isa.h).
//
// A unit of work is a sentence, with all kernels while there are enough of them. The table does not fit a cache and its
// rows lie anywhere, so each unit reads a row's bytes in the order in which they stand: K taps of one kernel together,
// as wide as the registers allow.
#include "simd.h"
#include "tile.h"
#include "sentence_windows.h"

namespace TEXTNN_ISA {

// Maxima over windows whose places do not matter. A NaN wins over every number and stays, as in torch.max.
template <class A, int N>
struct Maximum {
  static constexpr bool kFloating = std::is_floating_point_v<A>;
  Vec<A> value[N];
  decltype(Vec<A>{} < Vec<A>{}) nan[N] = {};

  [[gnu::always_inline]] inline void start() {
    for (int n = 0; n < N; ++n)
      value[n] = broadcast<A>(kFloating ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::lowest());
  }
  [[gnu::always_inline]] inline void see(const Vec<A> (&z)[N]) {
    for (int n = 0; n < N; ++n) {
      value[n] = z[n] > value[n] ? z[n] : value[n];
      if constexpr (kFloating) nan[n] |= z[n] != z[n];
    }
  }
  [[gnu::always_inline]] inline Vec<A> get(int n) const {
    if constexpr (kFloating) return nan[n] ? broadcast<A>(std::numeric_limits<A>::quiet_NaN()) : value[n];
    return value[n];
  }
};

template <class E>
class FrozenTextConvKernel {
  using A = typename Frozen<E>::Sum;
  using T = typename Frozen<E>::Result;
  static constexpr int64_t L = kLanes<A>;
  static constexpr int kWidest = TEXTNN_REGISTERS == 32 ? 8 : 4;  // vectors of sums: as many maxima stand beside them

 public:
  explicit FrozenTextConvKernel(const FrozenTextConv<E>& a)
      : a_(a), k_(a.sizes), width_(frozen_width<E>(k_.C)), row_(k_.taps_before(k_.S) * width_) {}

  void run(const ThreadPool& pool) {
    int64_t tokens = 0;
    for (int64_t b = 0; b < a_.sentences.B; ++b) tokens += a_.sentences.length[b];
    const int64_t work = tokens * row_ * int64_t(sizeof(E)) / kFrozenBytesPerThread;
    const ThreadPool some{int(std::clamp<int64_t>(work, 1, pool.threads)), pool.run};
    const int64_t parts = some.threads == 1 || a_.sentences.B >= 4 * some.threads ? 1 : k_.S;
    for_units(some, a_.sentences.B * parts, [&](int64_t unit) {
      const int64_t b = unit / parts, part = unit % parts, before = k_.taps_before(part);
      parts == 1 ? sentence(b, 0, k_.S, 0) : sentence(b, part, part + 1, before);
    });
  }

 private:
  // Kernels first .. last of a sentence; `before`: taps of the kernels in front of them.
  void sentence(int64_t b, int64_t first, int64_t last, int64_t before) {
    const int64_t* row = a_.row + a_.sentences.start[b];
    const int64_t all = a_.sentences.length[b];
    int64_t longest = 1;
    for (int64_t i = first; i < last; ++i) longest = std::max(longest, k_.taps[i]);
    const int64_t length = all - repeated_tail(row, all, longest);
    Workspace workspace(Workspace::bytes<const E*>(length) + Workspace::bytes<A>(width_) + Workspace::bytes<T>(width_));
    const E** products = workspace.take<const E*>(length);
    A* maxima = workspace.take<A>(width_);
    T* z = workspace.take<T>(width_);
    for (int64_t t = 0; t < length; ++t)
      products[t] = row[t] < a_.R ? a_.table + row[t] * row_ : a_.more + (row[t] - a_.R) * row_;
    for (int64_t i = first; i < last; before += k_.taps[i++]) {
      const int64_t vectors = (k_.C + L - 1) / L, groups = (vectors + kWidest - 1) / kWidest;
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t v = g * vectors / groups, next = (g + 1) * vectors / groups;
        with_constant<kWidest>(
            int(next - v), [&](auto N) { windows<N>(i, length, products, before * width_ + v * L, maxima + v * L); });
      }
      finish(b, i, maxima, z);
    }
  }

  // The maxima over the windows of kernel i of the N vectors that stand `offset` behind the first of a row.
  template <int N>
  void windows(int64_t i, int64_t length, const E* const* products, int64_t offset, A* maxima) {
    const int64_t width = width_;
    Maximum<A, N> max;
    max.start();
    for_windows<A, N>(
        k_.taps[i], k_.left(i), length, k_.windows(i, length), 1,
        [&](int64_t t, int64_t k) { return products[t] + offset + k * width; },
        [&](const Vec<A>(&z)[N], int64_t) { max.see(z); });
    for (int n = 0; n < N; ++n) store(maxima + n * L, max.get(n));
  }

  // maxima [width] of the sums -> scale, bias, activation -> y; z [width] is scratch.
  void finish(int64_t b, int64_t i, const A* maxima, T* z) {
    const T *scale = a_.scale ? a_.scale + i * k_.C : nullptr, *bias = a_.bias + i * k_.C;
    T* y = a_.y + (b * k_.S + i) * k_.C;
    for (int64_t c = 0; c < k_.C; ++c) z[c] = T(maxima[c]);
    for (int64_t c = 0; c < k_.C; c += kLanes<T>) {
      const int64_t used = std::min(kLanes<T>, k_.C - c);
      Vec<T> sum = load(z + c, used);
      if (scale) sum *= load(scale + c, used);
      store(y + c, math::activate<VectorMath<T>>(k_.activation, sum + load(bias + c, used)), used);
    }
  }

  const FrozenTextConv<E>& a_;
  const TextConvKernelSizes& k_;
  const int64_t width_, row_;  // elements of a tap, of a row
};

template <class E>
void quantize_products(const ThreadPool& pool, const QuantizeProducts<E>& a) {
  constexpr float magic = 12582912.0f;  // 1.5 * 2^23: rounds to an integer
  const int64_t S = a.sizes.S, C = a.sizes.C, width = frozen_width<E>(C), row = a.sizes.taps_before(S) * width;
  for_units(pool, a.U, [&](int64_t u) {
    const float* from = a.from + u * row;
    E* to = a.to + u * row;
    for (int64_t i = 0; i < S; ++i) {
      const float limit = float(std::min<int64_t>(std::numeric_limits<E>::max(), 32767 / a.sizes.taps[i]));
      const float* scale = a.scale + i * C;
      for (int64_t k = 0; k < a.sizes.taps[i]; ++k, from += width, to += width) {
        for (int64_t c = 0; c < C; ++c) {
          float q = from[c] / scale[c];
          q = q < limit ? q : limit;
          q = q > -limit ? q : -limit;
          to[c] = E(int32_t((q + magic) - magic));
        }
        std::fill(to + C, to + width, E(0));
      }
    }
  });
}

template <class E>
void frozen_text_conv(const ThreadPool& pool, const FrozenTextConv<E>& args) {
  FrozenTextConvKernel<E>(args).run(pool);
}

}  // namespace TEXTNN_ISA
