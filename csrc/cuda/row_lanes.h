// Threads over the rows of a matrix, for kernels whose threads need nothing of each other.
//
//   2^bits lanes, at most a warp, share a row:   lane 0 takes the columns 0, 2^bits, ..., lane 1 those behind them, ...
//
// so that what a warp reads at once lies together, and short rows leave few lanes idle. A column may be several
// elements that are loaded and stored at once.
#pragma once
#include <cstdio>
#include "launch.h"

namespace textnn::cuda {

// Of a block. Kernels name it in __launch_bounds__(kRowThreads, 1): without the 1 ptxas guesses how many blocks are to
// share a multiprocessor, and sooner spills a register than give one up.
constexpr int kRowThreads = 256;

struct RowLanes {
  int bits;

  // For rows of so many columns.
  explicit RowLanes(int64_t columns) : bits(0) {
    while (bits < 5 && (int64_t(1) << bits) < columns) ++bits;
  }
  unsigned blocks(int64_t rows) const { return blocks_for(rows << bits, kRowThreads); }

  __device__ int count() const { return 1 << bits; }
  __device__ int lane() const { return int(threadIdx.x) & (count() - 1); }
  __device__ int64_t first_row() const { return first_element() >> bits; }
  __device__ int64_t row_stride() const { return element_stride() >> bits; }
};

// W elements, 16 bytes or one element.
template <class E, int W>
struct alignas(W * sizeof(E)) Pack {
  E element[W];
};

// Whether an id is a row of a table with V rows, to be asked before memory is read with it. One that is not stops the
// kernel, as an index that is out of range does in torch; of several lanes with the same id one speaks.
__device__ inline bool is_row(int64_t id, int64_t V, int64_t position, bool speaks = true) {
  if (uint64_t(id) < uint64_t(V)) return true;
  if (speaks) {
    printf("textnn: ids must lie in [0, %lld), got %lld at position %lld\n", (long long)V, (long long)id,
           (long long)position);
    __trap();
  }
  return false;
}

}  // namespace textnn::cuda
