// A thread has a token, and finds its sentence by halving the starts, which a block's threads read from the same few
// cache lines. The ids behind the token are read by its neighbours as well.
#include "ngrams.h"
#include "row_lanes.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads, 1) hash_ngrams_kernel(HashNgrams a) {
  for (int64_t n = first_element(); n < a.N; n += element_stride()) {
    if (!is_row(a.ids[n], INT64_MAX, n)) continue;
    // The last sentence that starts at n or before it; empty ones before it start there as well.
    int64_t b = 0;
    for (int64_t stop = a.sentences.B; stop - b > 1;) {
      const int64_t middle = (b + stop) / 2;
      (a.sentences.start[middle] <= n ? b : stop) = middle;
    }
    const int64_t left = a.sentences.start[b] + a.sentences.length[b] - n;
    math::hash_ngrams_at(a.ids + n, left, a.sizes, a.buckets, a.y + n * a.sizes.count);
  }
}

}  // namespace

void hash_ngrams(Stream stream, const HashNgrams& a) {
  if (a.N == 0) return;
  check(CUDA_LAUNCH(hash_ngrams_kernel, blocks_for(a.N, kThreads), kThreads, 0, native(stream), a), "hash_ngrams");
}

}  // namespace textnn::cuda
