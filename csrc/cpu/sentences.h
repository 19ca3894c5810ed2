// A ragged batch of sentences, as kernels see it that have no order of steps to keep.
#pragma once
#include <cstdint>

namespace textnn::cpu {

struct Sentences {
  int64_t B;
  const int64_t* start;   // [B] first token of each sentence
  const int64_t* length;  // [B]
};

}  // namespace textnn::cpu
