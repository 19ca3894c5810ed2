// The backward pass: both gradients are gathered, so that every sum is made in registers and in a fixed order.
//
// dweight  A block has one tap of one channel and 128 dimensions. The gradients of the channel in 128 sentences and the
//          addresses of the vectors under the tap go through shared memory, and the threads add the vectors up: bound
//          by B * taps * C * D values of the second-level cache. Sentences without gradient (a ReLU at zero) and taps
//          outside of the sentence are skipped.
// dx       A warp has one position and 128 dimensions. Its lanes look at 32 channels at a time for those whose window
//          covers the position; these are then added one after the other by all lanes, and the sum is stored, or
//          added with atomics to the row of the position's token, one addition for each of its positions and not for
//          each channel that won. No position has more than S * C such channels, however often its token stands in the
//          batch, so no warp has much more work than the others.
#include "scalar_math.h"
#include "storage.h"
#include "text_conv.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kSums = 4, kDims = 32 * kSums;  // dimensions of a lane and of a warp
static_assert(kDims == kThreads, "both gradients have the same tiles of dimensions");

int64_t tiles_of(int64_t D) { return (D + kDims - 1) / kDims; }

template <class E>
__device__ Compute<E> gradient(const TextConvWon<E>& a, int64_t at) {
  return math::activation_backward(a.sizes.activation, load(a.y + at), load(a.dy + at));
}

// --- dweight, dbias ---

template <class E>
__global__ void __launch_bounds__(kThreads, 8) dweight_kernel(TextConvDWeight<E> a) {
  using C = Compute<E>;
  __shared__ C gradients[2][kThreads];
  __shared__ const E* vectors[2][kThreads];
  const TextConvWon<E>& won = a.won;
  const TextConvSizes& s = won.sizes;
  const int t = int(threadIdx.x);
  const int64_t tap = blockIdx.x / s.C, c = blockIdx.x % s.C, d = int64_t(blockIdx.y) * kThreads + t;
  int64_t i = 0;
  while (tap >= s.kernel[i].before + s.kernel[i].K) ++i;
  const int64_t K = s.kernel[i].K, before = s.kernel[i].before, k = tap - before;

  C sum = 0, bias = 0;
  for (int64_t b0 = 0, buffer = 0; b0 < won.sentences.B; b0 += kThreads, buffer ^= 1) {
    const int64_t b = b0 + t;
    C g = 0;
    const E* vector = nullptr;
    if (b < won.sentences.B) {
      const int64_t at = (b * s.S + i) * s.C + c, p = won.window[at] - s.left(K) + k;
      g = gradient(won, at);
      if (g != 0 && p >= 0 && p < won.sentences.length[b]) {
        const int64_t n = won.sentences.start[b] + p;
        vector = a.x + (a.ids ? a.ids[n] : n) * s.D;
      }
    }
    gradients[buffer][t] = g;
    vectors[buffer][t] = vector;
    __syncthreads();
    const int count = int(min(int64_t(kThreads), won.sentences.B - b0));
#pragma unroll 8
    for (int j = 0; j < count; ++j) {
      const C weight = gradients[buffer][j];
      const E* from = vectors[buffer][j];
      bias += weight;
      if (from && d < s.D) sum += weight * load(from + d);
    }
  }
  if (d < s.D) store(a.dweight + before * s.C * s.D + (c * s.D + d) * K + k, sum);
  if (k == 0 && d == 0) store(a.dbias + i * s.C + c, bias);
}

// --- dx ---

// The sentence in which position n would stand: the last one that starts at or before it. B > 0.
__device__ int64_t sentence_of(const Sentences& s, int64_t n) {
  int64_t low = 0, high = s.B;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (s.start[middle] <= n)
      low = middle;
    else
      high = middle;
  }
  return low;
}

// Adds the gradient of position n for the dimensions d, d + 32, .. of this lane to sum; whether there was any.
template <class E>
__device__ bool add_won(const TextConvDX<E>& a, int64_t n, int64_t d, Compute<E> (&sum)[kSums]) {
  using C = Compute<E>;
  const TextConvWon<E>& won = a.won;
  const TextConvSizes& s = won.sizes;
  if (won.sentences.B == 0) return false;
  const int lane = int(threadIdx.x) % 32;
  const int64_t b = sentence_of(won.sentences, n), p = n - won.sentences.start[b];
  if (p < 0 || p >= won.sentences.length[b]) return false;
  bool any = false;
  for (int64_t i = 0; i < s.S; ++i) {
    const int K = int(s.kernel[i].K), last = int(p + s.left(K));  // the window whose first tap stands on p
    const int64_t before = s.kernel[i].before;
    for (int64_t c0 = 0; c0 < s.C; c0 += 32) {
      const int64_t c = c0 + lane, at = (b * s.S + i) * s.C + c;
      const int k = c < s.C ? last - won.window[at] : -1;
      const C g = k >= 0 && k < K ? gradient(won, at) : C(0);
      for (unsigned hits = __ballot_sync(~0u, g != 0); hits; hits &= hits - 1) {
        const int hit = __ffs(int(hits)) - 1;
        const E* from = a.weight + ((before + __shfl_sync(~0u, k, hit)) * s.C + c0 + hit) * s.D + d;
        const C scale = __shfl_sync(~0u, g, hit);
#pragma unroll
        for (int r = 0; r < kSums; ++r)
          if (d + 32 * r < s.D) sum[r] += scale * load(from + 32 * r);
        any = true;
      }
    }
  }
  return any;
}

// Each position has a row of its own, or adds to its token's.
template <class E, bool kAdd>
__global__ void __launch_bounds__(kThreads, 8) position_kernel(TextConvDX<E> a, int64_t tiles) {
  const int64_t D = a.won.sizes.D;
  for (int64_t unit = first_element() / 32; unit < a.N * tiles; unit += element_stride() / 32) {
    const int64_t n = unit / tiles, d = unit % tiles * kDims + threadIdx.x % 32;
    int64_t row = n;
    if constexpr (kAdd) {
      row = a.row[n];
      if (row == a.padding) continue;
    }
    Compute<E> sum[kSums] = {};
    const bool any = add_won(a, n, d, sum);
    if (kAdd && !any) continue;
#pragma unroll
    for (int r = 0; r < kSums; ++r) {
      if (d + 32 * r >= D) continue;
      E* to = a.dx + row * D + d + 32 * r;
      if constexpr (kAdd)
        atomicAdd(to, sum[r]);
      else
        store(to, sum[r]);
    }
  }
}

}  // namespace

template <class E>
void text_conv_dweight(Stream stream, const TextConvDWeight<E>& a) {
  const TextConvSizes& s = a.won.sizes;
  if (s.C == 0) return;
  const dim3 grid(unsigned(s.taps * s.C), unsigned(std::max<int64_t>(1, tiles_of(s.D))));
  check(CUDA_LAUNCH((dweight_kernel<E>), grid, kThreads, 0, native(stream), a), "text_conv_dweight");
}

template <class E>
void text_conv_dx(Stream stream, const TextConvDX<E>& a) {
  const int64_t tiles = tiles_of(a.won.sizes.D), units = a.N * tiles;
  if (units == 0) return;
  const unsigned blocks = blocks_for(units, kWarps);
  if (!a.row) {
    check(CUDA_LAUNCH((position_kernel<E, false>), blocks, kThreads, 0, native(stream), a, tiles), "text_conv_dx");
  } else if constexpr (sizeof(E) >= 4) {
    check(CUDA_LAUNCH((position_kernel<E, true>), blocks, kThreads, 0, native(stream), a, tiles), "text_conv_dx");
  } else {
    throw std::logic_error("textnn: halves are not added with atomics");
  }
}

#define TEXTNN_INSTANTIATE(E)                                         \
  template void text_conv_dweight(Stream, const TextConvDWeight<E>&); \
  template void text_conv_dx(Stream, const TextConvDX<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
