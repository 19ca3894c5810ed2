// The hash of n-grams of token ids, for features without a vocabulary (the hashing trick, Weinberger et al. 2009,
// "Feature Hashing for Large Scale Multitask Learning"; for n-grams of words as in fastText, Joulin et al. 2017).
//
//   h = begin; for each token: h = (h ^ id) * odd, h ^= h >> 32        modulo 2^64; bijective in h, and in the id
//   bucket = 1 + floor((h * odd' >> 32) * (buckets - 1) / 2^32)         1 .. buckets - 1; 0 stands for no n-gram
//
// The state behind n tokens is where that of n + 1 goes on, so one pass makes the hashes of all sizes. Every token goes
// through the multiplication, so order counts, and n-grams of different sizes have nothing to do with each other.
#pragma once
#include <cstdint>
#include "host_device.h"

namespace textnn::math {

constexpr int kLongestNgram = 16;
constexpr int64_t kMostBuckets = int64_t(1) << 31;  // a bucket's number times 2^32 stays below 2^63

// The sizes that are wanted, each once. In two words, as a kernel keeps no array in registers that it indexes by n.
struct NgramSizes {
  int count, longest = 0;
  uint64_t columns = 0;  // 4 bits for each size
  uint32_t wanted = 0;   // a bit for each size

  // Of sizes in [1, kLongestNgram].
  NgramSizes(const int64_t* sizes, int S) : count(S) {
    for (int i = 0; i < S; ++i) {
      const int n = int(sizes[i]) - 1;
      columns |= uint64_t(i) << 4 * n;
      wanted |= uint32_t(1) << n;
      if (n >= longest) longest = n + 1;
    }
  }

  // Of the n-grams of n + 1 tokens; -1 where they are not wanted.
  TEXTNN_HOST_DEVICE int column(int n) const { return wanted >> n & 1 ? int(columns >> 4 * n & 15) : -1; }
};

constexpr uint64_t kNgramBegin = 0x243f6a8885a308d3;  // the first digits of pi behind the point

TEXTNN_HOST_DEVICE inline uint64_t ngram_add(uint64_t hash, int64_t id) {
  hash = (hash ^ uint64_t(id)) * 0x9e3779b97f4a7c15;  // the golden ratio (Knuth, The Art of Computer Programming, 6.4)
  return hash ^ hash >> 32;
}

TEXTNN_HOST_DEVICE inline int64_t ngram_bucket(uint64_t hash, int64_t buckets) {
  return int64_t(1 + ((hash * 0xd6e8feb86659fd93 >> 32) * uint64_t(buckets - 1) >> 32));
}

// out [count]: the buckets of the n-grams that begin with ids[0]; `left` tokens are left of its sentence, itself
// included, and n-grams of more are 0.
TEXTNN_HOST_DEVICE inline void hash_ngrams_at(const int64_t* ids, int64_t left, const NgramSizes& s, int64_t buckets,
                                              int64_t* out) {
  uint64_t hash = kNgramBegin;
  for (int n = 0; n < s.longest; ++n) {
    const bool inside = n < left;
    if (inside) hash = ngram_add(hash, ids[n]);
    const int column = s.column(n);
    if (column >= 0) out[column] = inside ? ngram_bucket(hash, buckets) : 0;
  }
}

}  // namespace textnn::math
