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

// Copies numbers of n-grams, with 0 for all but the first of equal ones in a sentence.
struct DropRepeats {
  Sentences sentences;
  int64_t N;
  int64_t S;
  const int64_t* x;  // [N, S]
  int64_t* y;        // [N, S]
};
void drop_repeats(Stream stream, const DropRepeats& args);

}  // namespace textnn::cuda
