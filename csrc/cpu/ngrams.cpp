// Threads take runs of tokens, wherever sentences begin, so that one long text is shared out as well. The products of a
// token wait for each other, those of the next tokens do not: a core has several tokens in work without vectors, which
// have no product of 64 bits below AVX-512.
#include "ngrams.h"
#include <algorithm>

namespace textnn::cpu {
namespace {

constexpr int64_t kTokensPerUnit = 4096;  // some 20 microseconds

}  // namespace

void hash_ngrams(const ThreadPool& pool, const HashNgrams& a) {
  const Sentences& s = a.sentences;
  for_units(pool, (a.N + kTokensPerUnit - 1) / kTokensPerUnit, [&](int64_t unit) {
    const int64_t stop = std::min(a.N, (unit + 1) * kTokensPerUnit);
    int64_t n = unit * kTokensPerUnit;
    // Of the sentences that start at n or before it the last; empty ones before it start there as well.
    for (int64_t b = std::upper_bound(s.start, s.start + s.B, n) - s.start - 1; n < stop; ++b) {
      const int64_t end = s.start[b] + s.length[b], next = b + 1 < s.B ? s.start[b + 1] : a.N;
      for (; n < std::min(end, stop); ++n)
        math::hash_ngrams_at(a.ids + n, end - n, a.sizes, a.buckets, a.y + n * a.sizes.count);
      const int64_t to = std::max(n, std::min(next, stop));  // padding
      std::fill(a.y + n * a.sizes.count, a.y + to * a.sizes.count, int64_t(0));
      n = to;
    }
  });
}

}  // namespace textnn::cpu
