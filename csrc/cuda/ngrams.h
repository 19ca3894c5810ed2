// The buckets of the n-grams of each sentence of token ids (cpu/ngrams.h).
#pragma once
#include "../math/ngrams.h"
#include "sizes.h"

namespace textnn::cuda {

struct HashNgrams {
  Sentences sentences;  // in rising order of their starts
  int64_t N;
  math::NgramSizes sizes;  // S of them
  int64_t buckets;
  const int64_t* ids;  // [N]; one below 0 stops the kernel
  int64_t* y;          // [N, S]; 0 where an n-gram would pass the sentence's end, and at tokens of no sentence
};
void hash_ngrams(Stream stream, const HashNgrams& args);

}  // namespace textnn::cuda
