// The distinct tokens of a batch, on the device (cpu/distinct.h): what stands at each position, and how many there are.
// Their number stays on the device; kernels that work on them are launched for the most there may be, min(N, V), and
// read it.
#pragma once
#include "element.h"

namespace textnn::cuda {

struct DistinctTokens {
  int64_t N;           // tokens, below 2^31
  int64_t V;           // ids lie in [0, V); one outside stops the kernel before memory is read with it
  const int64_t* ids;  // [N]
  int32_t* scratch;    // [distinct_scratch(V)]
  int32_t* token;      // [N] which distinct token stands at each position
  int64_t* distinct;   // [min(N, V)] their ids, rising; those behind the last are not written
  int32_t* count;      // [1] U
};
int64_t distinct_scratch(int64_t V);
void distinct_tokens(Stream stream, const DistinctTokens& args);

// Stops at an id outside [0, V), for kernels that need no distinct tokens.
void check_ids(Stream stream, const int64_t* ids, int64_t N, int64_t V);

}  // namespace textnn::cuda
