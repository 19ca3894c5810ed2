#include "schedule.h"
#include <cstdio>
#include "launch.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 128;

// How many of the falling values are greater than x.
__device__ int64_t count_greater(const int64_t* falling, int64_t n, int64_t x) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (falling[middle] > x)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

__global__ void __launch_bounds__(kThreads, 1) lengths_kernel(Lengths a) {
  for (int64_t b = first_element(); b < a.B; b += element_stride()) {
    int64_t n = a.T;
    if (a.kind == LengthsOf::kLengths) n = a.sizes[b];
    if (a.kind == LengthsOf::kOffsets) n = (b + 1 < a.B ? a.sizes[b + 1] : a.N) - a.sizes[b];
    if (a.kind == LengthsOf::kBatchSizes) n = count_greater(a.sizes, a.T, b);
    if (n < 0 || n > a.T || (a.kind == LengthsOf::kOffsets && b == 0 && a.sizes[0] != 0)) {
      printf("textnn: sequence %lld has length %lld, expected 0 to %lld; offsets begin with 0\n", (long long)b,
             (long long)n, (long long)a.T);
      __trap();
    }
    a.length[b] = n;
  }
}

// Batch sizes fall, and are at most B.
__global__ void __launch_bounds__(kThreads, 1) batch_sizes_kernel(Lengths a) {
  for (int64_t t = first_element(); t < a.T; t += element_stride()) {
    const int64_t n = a.sizes[t], most = t ? a.sizes[t - 1] : a.B;
    if (n < 0 || n > most) {
      printf("textnn: batch_sizes must fall and be at most %lld, got %lld at step %lld\n", (long long)a.B, (long long)n,
             (long long)t);
      __trap();
    }
  }
}

__global__ void __launch_bounds__(kThreads, 1) steps_kernel(Steps a) {
  for (int64_t t = first_element(); t <= a.T; t += element_stride()) {
    int64_t before = 0;
    for (int64_t b = 0; b < a.B; ++b) before += a.length[b] < t ? a.length[b] : t;
    if (t == a.T && a.rows >= 0 && before != a.rows) {
      printf("textnn: sizes must sum to the %lld rows of the input, got %lld\n", (long long)a.rows, (long long)before);
      __trap();
    }
    a.first_row[t] = before;
    if (t < a.T) a.batch_size[t] = count_greater(a.length, a.B, t);
  }
}

}  // namespace

void lengths(Stream stream, const Lengths& a) {
  if (a.kind == LengthsOf::kBatchSizes && a.T > 0)
    check(CUDA_LAUNCH(batch_sizes_kernel, blocks_for(a.T, kThreads), kThreads, 0, native(stream), a), "batch_sizes");
  if (a.B == 0) return;
  check(CUDA_LAUNCH(lengths_kernel, blocks_for(a.B, kThreads), kThreads, 0, native(stream), a), "lengths");
}

bool capturing(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(native(stream), &status), "a query of the stream");
  return status != cudaStreamCaptureStatusNone;
}

void steps(Stream stream, const Steps& a) {
  check(CUDA_LAUNCH(steps_kernel, blocks_for(a.T + 1, kThreads), kThreads, 0, native(stream), a), "steps");
}

}  // namespace textnn::cuda
