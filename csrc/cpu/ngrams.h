// The buckets of the n-grams of each sentence of token ids.
#pragma once
#include "../math/ngrams.h"
#include "parallel.h"
#include "sentences.h"

namespace textnn::cpu {

struct HashNgrams {
  Sentences sentences;  // in rising order of their starts
  int64_t N;
  math::NgramSizes sizes;  // S of them
  int64_t buckets;         // in [2, kMostBuckets]
  bool distinct;           // whether a bucket stays only where its sentence has it for the first time
  const int64_t* ids;      // [N]
  int64_t* y;  // [N, S] the n-grams that begin at each token; 0 where one would pass the sentence's end, for
               // repeated ones, and at tokens of no sentence
};
void hash_ngrams(const ThreadPool& pool, const HashNgrams& args);

}  // namespace textnn::cpu
