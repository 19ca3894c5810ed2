// Layout of the weights and the forward pass over the products.
//
// A block has one sentence, one kernel and 32 channels; its warps have a slice of the windows each (tiles.h) and take
// four at a time, so that four loads are on their way for each tap. Every product of a position is read once, 128 bytes
// by a warp, mostly from the second-level cache: the pass is bound by N * taps * C values. Sums never leave the
// registers.
#include "text_conv.h"
#include "running_max.h"
#include "scalar_math.h"
#include "storage.h"
#include "tiles.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256, kChannels = 32, kAtOnce = 4;

__host__ __device__ int64_t tiles_of(int64_t C) { return (C + kChannels - 1) / kChannels; }

template <class E>
__global__ void __launch_bounds__(kThreads) lay_out_kernel(TextConvSizes s, E* to) {
  const int64_t total = s.taps * s.C * s.D;
  for (int64_t at = first_element(); at < total; at += element_stride()) {
    const int64_t d = at % s.D, c = at / s.D % s.C, tap = at / s.D / s.C;
    int64_t i = 0;
    while (tap >= s.kernel[i].before + s.kernel[i].K) ++i;
    const TextConvKernel kernel = s.kernel[i];
    to[at] = static_cast<const E*>(kernel.weight)[(c * s.D + d) * kernel.K + tap - kernel.before];
  }
}

template <class E>
__global__ void __launch_bounds__(kChannels* kSlices, 4) maxima_kernel(TextConvMaxima<E> a, int64_t first) {
  using C = Compute<E>;
  __shared__ C values[kSlices][kChannels];
  __shared__ int windows[kSlices][kChannels];
  const TextConvSizes& s = a.sizes;
  const int lane = int(threadIdx.x), slice = int(threadIdx.y);
  const int64_t tiles = tiles_of(s.C), unit = first + blockIdx.x, b = unit / (s.S * tiles);
  const int64_t i = unit / tiles % s.S, c = unit % tiles * kChannels + lane;
  const TextConvKernel kernel = s.kernel[i];
  const int K = int(kernel.K), left = int(s.left(K)), length = int(a.sentences.length[b]);
  const int64_t start = a.sentences.start[b], row = s.taps * s.C;
  // Lanes behind the last channel repeat it.
  const C* products = a.products + kernel.before * s.C + (c < s.C ? c : s.C - 1);

  RunningMax<C> best;
  const Slice mine(s.windows(K, length), slice);
  for (int w = int(mine.begin), end = int(mine.end); w < end; w += kAtOnce) {
    C z[kAtOnce] = {};
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int u = 0; u < kAtOnce; ++u) {
        const int p = w + u - left + k;
        if (p < 0 || p >= length || w + u >= end) continue;
        const int64_t r = a.token ? int64_t(a.token[start + p]) : start + p;
        z[u] += products[r * row + k * s.C];
      }
    }
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u)
      if (w + u < end) best.see(z[u], w + u);
  }

  values[slice][lane] = best.value;
  windows[slice][lane] = best.at;
  __syncthreads();
  if (slice > 0 || c >= s.C) return;
  for (int other = 1; other < kSlices; ++other) best.see(values[other][lane], windows[other][lane]);
  const int64_t at = (b * s.S + i) * s.C + c;
  const C bias = kernel.bias ? load(static_cast<const E*>(kernel.bias) + c) : C(0);
  store(a.y + at, math::activate<ScalarMath<C>>(s.activation, best.value + bias));
  if (a.window) a.window[at] = best.at;
}

// The same sums, each stored with bias and activation.
template <class E>
__global__ void __launch_bounds__(kChannels* kSlices, 4) positions_kernel(TextConvPositions<E> a, int64_t first) {
  using C = Compute<E>;
  const TextConvSizes& s = a.sizes;
  const int lane = int(threadIdx.x), slice = int(threadIdx.y);
  const int64_t tiles = tiles_of(s.C), unit = first + blockIdx.x, b = unit / (s.S * tiles);
  const int64_t i = unit / tiles % s.S, c = unit % tiles * kChannels + lane;
  if (c >= s.C) return;
  const TextConvKernel kernel = s.kernel[i];
  const int64_t K = kernel.K, left = s.left(K), length = a.sentences.length[b], windows = s.windows(K, length);
  const int64_t start = a.sentences.start[b], row = s.taps * s.C;
  const C* products = a.products + kernel.before * s.C + c;
  const C bias = kernel.bias ? load(static_cast<const E*>(kernel.bias) + c) : C(0);
  E* y = a.y + (a.row[b] * s.S + i) * s.C + c;

  const Slice mine(a.longest > windows ? a.longest : windows, slice);
  for (int64_t w = mine.begin; w < mine.end; ++w) {
    C z = 0;
    for (int64_t k = 0; k < K && w < windows; ++k) {
      const int64_t p = w * s.stride - left + k;
      if (p < 0 || p >= length) continue;
      const int64_t r = a.token ? int64_t(a.token[start + p]) : start + p;
      z += products[r * row + k * s.C];
    }
    store(y + w * s.S * s.C, w < windows ? math::activate<ScalarMath<C>>(s.activation, z + bias) : C(0));
  }
}

}  // namespace

template <class E>
void lay_out_text_conv(Stream stream, const TextConvSizes& s, E* to) {
  const int64_t total = s.taps * s.C * s.D;
  if (total == 0) return;
  check(CUDA_LAUNCH((lay_out_kernel<E>), blocks_for(total, kThreads), kThreads, 0, native(stream), s, to),
        "lay_out_text_conv");
}

template <class E>
void text_conv_maxima(Stream stream, const TextConvMaxima<E>& a) {
  for_blocks(a.sentences.B * a.sizes.S * tiles_of(a.sizes.C), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(maxima_kernel<E>, count, dim3(kChannels, kSlices), 0, native(stream), a, first),
          "text_conv_maxima");
  });
}

template <class E>
void text_conv_positions(Stream stream, const TextConvPositions<E>& a) {
  for_blocks(a.sentences.B * a.sizes.S * tiles_of(a.sizes.C), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(positions_kernel<E>, count, dim3(kChannels, kSlices), 0, native(stream), a, first),
          "text_conv_positions");
  });
}

#define TEXTNN_INSTANTIATE(E)                                        \
  template void lay_out_text_conv(Stream, const TextConvSizes&, E*); \
  template void text_conv_maxima(Stream, const TextConvMaxima<E>&);  \
  template void text_conv_positions(Stream, const TextConvPositions<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
