#include "pool.h"
#include "running_max.h"
#include "storage.h"
#include "tiles.h"

namespace textnn::cuda {
namespace {

constexpr int kColumns = 32;

template <class E>
__global__ void __launch_bounds__(kColumns* kSlices, 1) max_mean_pool_kernel(MaxMeanPool<E> a, int64_t first) {
  using A = Compute<E>;
  __shared__ A maxima[kSlices][kColumns], sums[kSlices][kColumns];
  __shared__ int32_t places[kSlices][kColumns];
  const int64_t tiles = (a.F + kColumns - 1) / kColumns, unit = first + blockIdx.x, b = unit / tiles;
  const int column = int(threadIdx.x), slice = int(threadIdx.y);
  const int64_t f = unit % tiles * kColumns + column, length = a.sentences.length[b];
  const Slice steps(length, slice);
  RunningMax<A> max;
  A sum = 0;
  if (f < a.F) {
    const E* x = a.x + (a.sentences.start[b] + steps.begin) * a.F + f;
#pragma unroll 4
    for (int64_t t = steps.begin; t < steps.end; ++t, x += a.F) {
      const A value = load(x);
      max.see(value, int32_t(t));
      sum += value;
    }
  }
  maxima[slice][column] = max.value;
  places[slice][column] = max.at;
  sums[slice][column] = sum;
  __syncthreads();
  if (slice > 0 || f >= a.F) return;
  for (int s = 1; s < kSlices; ++s) {
    max.see(maxima[s][column], places[s][column]);
    sum += sums[s][column];
  }
  E* y = a.y + b * 2 * a.F + f;
  store(y, length ? max.value : A(0));
  store(y + a.F, length ? sum / A(length) : A(0));
  if (a.at) a.at[b * a.F + f] = max.at;
}

template <class E>
__global__ void __launch_bounds__(kColumns* kSlices, 1)
    max_mean_pool_backward_kernel(MaxMeanPoolBackward<E> a, int64_t first) {
  using A = Compute<E>;
  const int64_t tiles = (a.F + kColumns - 1) / kColumns, unit = first + blockIdx.x, b = unit / tiles;
  const int64_t f = unit % tiles * kColumns + int(threadIdx.x);
  if (f >= a.F) return;
  const int64_t start = a.sentences.start[b], length = a.sentences.length[b];
  const int64_t next = b + 1 < a.sentences.B ? a.sentences.start[b + 1] : a.N;
  const E* dy = a.dy + b * 2 * a.F + f;
  const A dmax = load(dy), dmean = length ? load(dy + a.F) / A(length) : A(0);
  const int64_t at = a.at[b * a.F + f];
  for (int64_t t = int(threadIdx.y); t < next - start; t += kSlices)
    store(a.dx + (start + t) * a.F + f, t >= length ? A(0) : t == at ? dmean + dmax : dmean);
}

}  // namespace

template <class E>
void max_mean_pool(Stream stream, const MaxMeanPool<E>& a) {
  for_blocks(a.sentences.B * ((a.F + kColumns - 1) / kColumns), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(max_mean_pool_kernel<E>, count, dim3(kColumns, kSlices), 0, native(stream), a, first),
          "max_mean_pool");
  });
}

template <class E>
void max_mean_pool_backward(Stream stream, const MaxMeanPoolBackward<E>& a) {
  for_blocks(a.sentences.B * ((a.F + kColumns - 1) / kColumns), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(max_mean_pool_backward_kernel<E>, count, dim3(kColumns, kSlices), 0, native(stream), a, first),
          "max_mean_pool_backward");
  });
}

template void max_mean_pool(Stream, const MaxMeanPool<float>&);
template void max_mean_pool(Stream, const MaxMeanPool<double>&);
template void max_mean_pool(Stream, const MaxMeanPool<Float16>&);
template void max_mean_pool(Stream, const MaxMeanPool<BFloat16>&);
template void max_mean_pool_backward(Stream, const MaxMeanPoolBackward<float>&);
template void max_mean_pool_backward(Stream, const MaxMeanPoolBackward<double>&);
template void max_mean_pool_backward(Stream, const MaxMeanPoolBackward<Float16>&);
template void max_mean_pool_backward(Stream, const MaxMeanPoolBackward<BFloat16>&);

}  // namespace textnn::cuda
