// What the hash of n-grams asks of its arguments, on every device.
#pragma once
#include "../math/ngrams.h"
#include "embedding.h"

namespace textnn::ops {

inline math::NgramSizes check_ngrams(const Tensor& ids, const std::vector<int64_t>& ngrams, int64_t buckets,
                                     bool flat) {
  check_dtype("ids", ids, ScalarType::Long);
  STD_TORCH_CHECK(ids.dim() == (flat ? 1 : 2), "textnn: ids must have ", flat ? 1 : 2, " dimensions, got shape ",
                  shape_of(ids));
  STD_TORCH_CHECK(buckets >= 2 && buckets <= math::kMostBuckets, "textnn: buckets must lie between 2 and ",
                  math::kMostBuckets, ", got ", buckets);
  STD_TORCH_CHECK(!ngrams.empty(), "textnn: sizes must hold at least one size of n-grams");
  unsigned seen = 0;
  for (const int64_t n : ngrams) {
    STD_TORCH_CHECK(n >= 1 && n <= math::kLongestNgram, "textnn: sizes must lie between 1 and ", math::kLongestNgram,
                    ", got ", n);
    STD_TORCH_CHECK(!(seen >> n & 1), "textnn: sizes must be distinct, got ", n, " twice");
    seen |= 1u << n;
  }
  return math::NgramSizes(ngrams.data(), int(ngrams.size()));
}

}  // namespace textnn::ops
