// Threads take runs of tokens, wherever sentences begin, so that one long text is shared out as well. The products of a
// token wait for each other, those of the next tokens do not: a core has several tokens in work without vectors, which
// have no product of 64 bits below AVX-512.
//
// Repeated buckets are found sentence by sentence, in a table with open addressing (Knuth, The Art of Computer
// Programming, 6.4, algorithm L) that is at most half full. Buckets are hashes already: their low bits are the slot.
#include "ngrams.h"
#include <algorithm>
#include <vector>

namespace textnn::cpu {
namespace {

constexpr int64_t kTokensPerUnit = 4096;  // some 20 microseconds

// Sets all but the first of equal numbers to 0. `seen` is scratch.
void drop_repeats(int64_t* y, int64_t count, std::vector<int64_t>& seen) {
  size_t slots = 16;
  while (slots < size_t(2 * count)) slots *= 2;
  seen.assign(slots, 0);
  for (int64_t i = 0; i < count; ++i) {
    if (y[i] == 0) continue;
    size_t slot = size_t(y[i]) & (slots - 1);
    while (seen[slot] != 0 && seen[slot] != y[i]) slot = (slot + 1) & (slots - 1);
    if (seen[slot] != 0)
      y[i] = 0;
    else
      seen[slot] = y[i];
  }
}

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
  if (!a.distinct) return;
  const int64_t S = a.sizes.count;
  for_units(pool, (a.N + kTokensPerUnit - 1) / kTokensPerUnit, [&](int64_t unit) {
    // The sentences that begin among these tokens.
    const int64_t* first = std::lower_bound(s.start, s.start + s.B, unit * kTokensPerUnit);
    std::vector<int64_t> seen;
    for (int64_t b = first - s.start; b < s.B && s.start[b] < (unit + 1) * kTokensPerUnit; ++b)
      drop_repeats(a.y + s.start[b] * S, s.length[b] * S, seen);
  });
}

}  // namespace textnn::cpu
