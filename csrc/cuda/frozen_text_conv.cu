#include "frozen_text_conv.h"
#include <type_traits>
#include "row_lanes.h"
#include "scalar_math.h"
#include "storage.h"
#include "tiles.h"

namespace textnn::cuda {
namespace {

constexpr int kLanes = 32, kKernels = 16;  // of a block, of a launch

// Some of the kernels.
struct Kernels {
  int first, count;
  int64_t all;  // taps of all S kernels
  int64_t taps[kKernels], before[kKernels];
};

__global__ void frozen_rows_kernel(FrozenRows a) {
  for (int64_t n = first_element(); n < a.N; n += element_stride()) {
    const int64_t id = a.ids[n];
    if (!is_row(id, a.V, n)) continue;
    if (!a.at) continue;
    const int64_t row = a.row ? a.row[id] : id;
    if (uint64_t(row) >= uint64_t(a.rows)) {
      printf("textnn: row must hold values in [0, %lld), got %lld for the id %lld\n", (long long)a.rows, (long long)row,
             (long long)id);
      __trap();
    }
    a.at[n] = row;
  }
}

// Integers are added as 32 bits: what of them is kept, 16 bits, is the same as if they were added as 16.
template <class E>
using Sum = std::conditional_t<std::is_integral_v<E>, int32_t, E>;
template <class E>
using Kept = std::conditional_t<std::is_integral_v<E>, int16_t, E>;

template <class E>
class Windows {
  using T = typename Frozen<E>::Result;
  using A = Sum<E>;

 public:
  static constexpr int W = Vector<E>::kSize;  // channels of a thread

  // The kernel `i` of `kernels`; channels c .. c + W.
  __device__ Windows(const FrozenTextConv<E>& a, const Kernels& kernels, int i, int64_t c)
      : a_(a), K_(kernels.taps[i]), row_(kernels.all * a.width), offset_(kernels.before[i] * a.width + c), c_(c) {
    scale_ = a.scale + (kernels.first + i) * a.C;
  }

  // Windows w of a sentence with `length` tokens in the rows at.
  template <bool kRest>
  __device__ void run(const int64_t* at, int64_t length, int64_t left, Slice windows, Kept<E> (&maximum)[W]) const {
    int64_t equal = 0;  // pairs of equal neighbours at the window's end
    for (int64_t w = windows.begin; w < windows.end; ++w) {
      const int64_t begin = left > w ? left - w : 0, end = K_ < length - w + left ? K_ : length - w + left;
      const int64_t* token = at + w - left;
      // In a run of one token, padding most of the time, a window is the one before.
      if (w > windows.begin && end == K_) {
        equal = token[K_ - 1] == token[K_ - 2] ? equal + 1 : 0;
        if (equal >= K_) continue;
      }
      A z[W] = {};
#pragma unroll(kRest ? 1 : 4)
      for (int64_t k = begin; k < end; ++k) {
        const int64_t row = token[k];
        if (kRest && row >= a_.R) {
          add_product(row - a_.R, k, z);
        } else {
          const Vector<E> products = load_vector(a_.table + row * row_ + offset_ + k * a_.width);
#pragma unroll
          for (int v = 0; v < W; ++v) z[v] += products.element[v];
        }
      }
#pragma unroll
      for (int v = 0; v < W; ++v) see(Kept<E>(z[v]), maximum[v]);
    }
  }

  // A NaN wins over every number and stays, as in torch.max.
  static __device__ void see(Kept<E> z, Kept<E>& maximum) {
    if (z > maximum || z != z) maximum = z;
  }

 private:
  __device__ void add_product(int64_t row, int64_t k, A (&z)[W]) const {
    constexpr int V = Vector<T>::kSize;
    const T *x = a_.rest + row * a_.D, *weight = a_.weight + offset_ + k * a_.width;
    T sum[W] = {};
#pragma unroll 2
    for (int64_t d = 0; d < a_.D; ++d, weight += row_) {
      const T value = x[d];
#pragma unroll
      for (int v = 0; v < W; v += V) {
        const Vector<T> weights = load_vector(weight + v);
#pragma unroll
        for (int i = 0; i < V; ++i) sum[v + i] += value * weights.element[i];
      }
    }
#pragma unroll
    for (int v = 0; v < W; ++v) {
      if constexpr (std::is_integral_v<E>) {
        constexpr int most = sizeof(E) == 1 ? 127 : 32767;
        const float limit = float(32767 / K_ < most ? 32767 / K_ : most);
        float q = c_ + v < a_.C ? sum[v] / scale_[c_ + v] : 0;
        q = q < limit ? q : limit;
        q = q > -limit ? q : -limit;
        z[v] += A(rintf(q));
      } else {
        z[v] += sum[v];
      }
    }
  }

  const FrozenTextConv<E>& a_;
  const int64_t K_, row_, offset_, c_;
  const T* scale_;
};

// A block: a sentence, a kernel, and as many channels as its lanes take.
template <class E, bool kRest>
__global__ void __launch_bounds__(kLanes* kSlices, 1)
    frozen_text_conv_kernel(FrozenTextConv<E> a, Kernels kernels, int64_t tiles, int64_t first) {
  using T = typename Frozen<E>::Result;
  constexpr int W = Windows<E>::W;
  __shared__ Pack<Kept<E>, W> maxima[kSlices][kLanes];
  const int lane = int(threadIdx.x), slice = int(threadIdx.y);
  const int64_t unit = first + blockIdx.x, pair = unit / tiles, b = pair / kernels.count;
  const int i = int(pair % kernels.count);
  const int64_t c = (unit % tiles * blockDim.x + lane) * W;
  const int64_t length = a.sentences.length[b], K = kernels.taps[i], left = a.same ? (K - 1) / 2 : 0;
  const int64_t windows = a.same ? length : length - K + 1;

  Pack<Kept<E>, W> maximum;
#pragma unroll
  for (int v = 0; v < W; ++v) maximum.element[v] = std::is_integral_v<E> ? Kept<E>(-32768) : Kept<E>(-INFINITY);
  if (c < a.C)
    Windows<E>(a, kernels, i, c)
        .template run<kRest>(a.at + a.sentences.start[b], length, left, Slice(windows > 1 ? windows : 1, slice),
                             maximum.element);
  maxima[slice][lane] = maximum;
  __syncthreads();
  if (slice > 0 || c >= a.C) return;
  for (int s = 1; s < kSlices; ++s)
#pragma unroll
    for (int v = 0; v < W; ++v) Windows<E>::see(maxima[s][lane].element[v], maximum.element[v]);
  const int64_t column = (kernels.first + i) * a.C + c;
#pragma unroll
  for (int v = 0; v < W; ++v) {
    if (c + v >= a.C) break;
    T z = T(maximum.element[v]);
    if (a.scale) z *= a.scale[column + v];
    a.y[b * a.S * a.C + column + v] = math::activate<ScalarMath<T>>(a.activation, z + a.bias[column + v]);
  }
}

}  // namespace

void frozen_rows(Stream stream, const FrozenRows& a) {
  if (a.N == 0) return;
  check(CUDA_LAUNCH(frozen_rows_kernel, blocks_for(a.N, kRowThreads), kRowThreads, 0, native(stream), a),
        "frozen_text_conv");
}

template <class E>
void frozen_text_conv(Stream stream, const FrozenTextConv<E>& a) {
  constexpr int W = Windows<E>::W;
  const int64_t packs = (a.C + W - 1) / W;
  const unsigned lanes = 1u << RowLanes(packs).bits;
  const int64_t tiles = (packs + lanes - 1) / lanes;
  Kernels kernels{};
  for (int64_t i = 0; i < a.S; ++i) kernels.all += a.taps[i];
  int64_t before = 0;
  for (int64_t first = 0; first < a.S; first += kKernels) {
    kernels.first = int(first);
    kernels.count = int(std::min<int64_t>(kKernels, a.S - first));
    for (int i = 0; i < kernels.count; before += a.taps[first + i++]) {
      kernels.taps[i] = a.taps[first + i];
      kernels.before[i] = before;
    }
    for_blocks(a.sentences.B * kernels.count * tiles, [&](int64_t begin, unsigned count) {
      const dim3 block(lanes, kSlices);
      check(a.has_rest ? CUDA_LAUNCH((frozen_text_conv_kernel<E, true>), count, block, 0, native(stream), a, kernels,
                                     tiles, begin)
                       : CUDA_LAUNCH((frozen_text_conv_kernel<E, false>), count, block, 0, native(stream), a, kernels,
                                     tiles, begin),
            "frozen_text_conv");
    });
  }
}

template void frozen_text_conv(Stream, const FrozenTextConv<float>&);
template void frozen_text_conv(Stream, const FrozenTextConv<double>&);
template void frozen_text_conv(Stream, const FrozenTextConv<int16_t>&);
template void frozen_text_conv(Stream, const FrozenTextConv<int8_t>&);

}  // namespace textnn::cuda
