// A thread has a token, and finds its sentence by halving the starts, which a block's threads read from the same few
// cache lines. The ids behind the token are read by its neighbours as well.
#include "ngrams.h"
#include "row_lanes.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256;

// The last sentence that starts at token n or before it; empty ones before it start there as well.
__device__ inline int64_t sentence_of(const Sentences& s, int64_t n) {
  int64_t b = 0;
  for (int64_t stop = s.B; stop - b > 1;) {
    const int64_t middle = (b + stop) / 2;
    (s.start[middle] <= n ? b : stop) = middle;
  }
  return b;
}

__global__ void __launch_bounds__(kThreads, 1) hash_ngrams_kernel(HashNgrams a) {
  for (int64_t n = first_element(); n < a.N; n += element_stride()) {
    if (!is_row(a.ids[n], INT64_MAX, n)) continue;
    const int64_t b = sentence_of(a.sentences, n);
    const int64_t left = a.sentences.start[b] + a.sentences.length[b] - n;
    math::hash_ngrams_at(a.ids + n, left, a.sizes, a.buckets, a.y + n * a.sizes.count);
  }
}

// A thread has a number, and looks for it among those before it in its sentence. That is quadratic, and all threads of
// a warp read the same few cache lines.
__global__ void __launch_bounds__(kThreads, 1) drop_repeats_kernel(DropRepeats a) {
  for (int64_t i = first_element(); i < a.N * a.S; i += element_stride()) {
    const int64_t number = a.x[i], first = a.sentences.start[sentence_of(a.sentences, i / a.S)] * a.S;
    bool repeated = false;
    for (int64_t j = first; j < i && !repeated; ++j) repeated = a.x[j] == number;
    a.y[i] = repeated ? 0 : number;
  }
}

}  // namespace

void hash_ngrams(Stream stream, const HashNgrams& a) {
  if (a.N == 0) return;
  check(CUDA_LAUNCH(hash_ngrams_kernel, blocks_for(a.N, kThreads), kThreads, 0, native(stream), a), "hash_ngrams");
}

void drop_repeats(Stream stream, const DropRepeats& a) {
  if (a.N == 0) return;
  check(CUDA_LAUNCH(drop_repeats_kernel, blocks_for(a.N * a.S, kThreads), kThreads, 0, native(stream), a),
        "drop_repeats");
}

}  // namespace textnn::cuda
