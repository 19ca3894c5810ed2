// Blocks of threads for (sentence, tile of columns) pairs: what happens over time there is a block's own business.
//
//   threadIdx.x   a column of the tile: what a warp reads of one step lies together
//   threadIdx.y   a slice of time: a sentence of a thousand tokens does not hang on one thread, and a single sentence
//                 does not leave the GPU idle
#pragma once
#include "launch.h"

namespace textnn::cuda {

constexpr int kSlices = 8;

// Slice s of n steps: begin .. end, in the order of time.
struct Slice {
  int64_t begin, end;

  __device__ Slice(int64_t n, int s) {
    const int64_t each = (n + kSlices - 1) / kSlices;
    begin = each * s < n ? each * s : n;
    end = begin + each < n ? begin + each : n;
  }
};

// launch(first, count) for blocks first .. first + count, as often as a grid's size needs it: once.
template <class F>
void for_blocks(int64_t blocks, F&& launch) {
  constexpr int64_t most = 0x7fffffff;
  for (int64_t first = 0; first < blocks; first += most) launch(first, unsigned(std::min(most, blocks - first)));
}

}  // namespace textnn::cuda
