// Looking up rows of a table, and the sum of the gradients of each row: the same for every layer that starts from ids.
#pragma once
#include <cstdint>
#include "element.h"

namespace textnn::cuda {

// Rows are copied as bytes, of whatever type they are.
struct Embedding {
  int64_t N, V, row_bytes;
  const int64_t* ids;  // [N] rows of the table
  const void* table;   // [V] rows
  void* y;             // [N] rows
};
void embedding(Stream stream, const Embedding& args);

// dtable from the gradients dy of N positions, which have been sorted by their ids.
//
//   ids       3  3  3  3  3 | 3  3  7  9  9 | 9  9 ...      tiles of kGradientTile positions
//             `------------´  `--´  :  `--´   `--´
//             partial[0][1]     :   :    :    partial[2][0]
//                    partial[1][0]  :  partial[1][1]
//                                dtable[7]
//
// A first kernel sums the rows of each id within a tile, a second one joins the parts of ids that cross tiles. So an
// id that stands everywhere costs no more than many that stand once, each sum is made in an order that depends on the
// ids alone, and each row is written by one thread: the same bits in every run, without atomics.
constexpr int kGradientTile = 16;

template <class E>
struct EmbeddingBackward {
  int64_t N, D, V;
  const int64_t* ids;       // [N] rising
  const int64_t* position;  // [N] the row of dy that belongs to each of them
  const int64_t* place;     // [N] the row of dtable that belongs to each of them, or null: its id
  int64_t padding;          // the id whose gradient is zero, or -1
  const E* dy;              // [N, D]
  Compute<E>* partial;      // scratch: embedding_backward_scratch(N, D) elements
  E* dtable;                // [.., D], all rows zero where place is null
};
inline int64_t embedding_backward_scratch(int64_t N, int64_t D) {
  return (N + kGradientTile - 1) / kGradientTile * 2 * D;
}
template <class E>
void embedding_backward(Stream stream, const EmbeddingBackward<E>& args);

}  // namespace textnn::cuda
