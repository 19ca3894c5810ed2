// Pooling over time for one instruction set (included through foreach_isa.h). A unit of work is a sentence and some
// vectors of its features, whose maximum, position and sum stay in registers from the first step to the last.
#include "simd.h"
#include "tile.h"
#include "running_max.h"

namespace TEXTNN_ISA {

template <class T>
void max_mean_pool(const ThreadPool& pool, const MaxMeanPool<T>& a) {
  constexpr int64_t L = kLanes<T>;
  const int64_t vectors = (a.F + L - 1) / L, blocks = (vectors + kMaxVectors - 1) / kMaxVectors;
  for_units(pool, a.sentences.B, [&](int64_t b) {
    const int64_t start = a.sentences.start[b], length = a.sentences.length[b];
    T* y = a.y + b * 2 * a.F;
    if (length == 0) {
      std::fill(y, y + 2 * a.F, T(0));
      if (a.at) std::fill(a.at + b * a.F, a.at + (b + 1) * a.F, 0);
      return;
    }
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * vectors / blocks, next = (block + 1) * vectors / blocks;
      with_constant<kMaxVectors>(int(next - first), [&](auto V) {
        const int64_t f = first * L;
        RunningMax<T, V> max;
        max.start();
        Vec<T> sum[V] = {};
        const T* x = a.x + start * a.F + f;
        for (int64_t t = 0; t < length; ++t, x += a.F)
          for (int v = 0; v < V; ++v) {
            const Vec<T> value = load(x + v * L, a.F - f - v * L);
            max.see(v, value, t);
            sum[v] += value;
          }
        for (int v = 0; v < V; ++v) {
          const int64_t at = f + v * L;
          max.finish(v, math::Activation::kIdentity, nullptr, at, a.F, y, a.at ? a.at + b * a.F : nullptr);
          store(y + a.F + at, sum[v] / T(length), a.F - at);
        }
      });
    }
  });
}

template <class T>
void max_mean_pool_backward(const ThreadPool& pool, const MaxMeanPoolBackward<T>& a) {
  const Sentences& s = a.sentences;
  const int64_t F = a.F;
  for_units(pool, s.B, [&](int64_t b) {
    const int64_t start = s.start[b], length = s.length[b], next = b + 1 < s.B ? s.start[b + 1] : a.N;
    const T *dmax = a.dy + b * 2 * F, *dmean = dmax + F;
    const int32_t* at = a.at + b * F;
    T* dx = a.dx + start * F;
    for (int64_t t = 0; t < length; ++t)
      for (int64_t f = 0; f < F; ++f) dx[t * F + f] = dmean[f] / T(length) + (at[f] == t ? dmax[f] : T(0));
    std::fill(dx + length * F, a.dx + next * F, T(0));
  });
}

}  // namespace TEXTNN_ISA
