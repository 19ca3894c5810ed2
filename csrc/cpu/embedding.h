// Looking up rows of a table, and the sum of the gradients of each row.
#pragma once
#include <cstdint>
#include "parallel.h"

namespace textnn::cpu {

template <class T>
struct Embedding {
  int64_t N, D;
  const int64_t* ids;  // [N] rows of the table
  const T* table;      // [V, D]
  T* y;                // [N, D]
};

template <class T>
struct EmbeddingBackward {
  int64_t N, D, U;
  const int64_t* distinct;  // [U] the ids that occur, rising
  const int32_t* token;     // [N] the place of each position's id among them
  const T* dy;              // [N, D]
  int64_t rows;             // of dtable: U, or V for a dense gradient
  bool dense;               // whether the row of a distinct id is that id, all others being zero
  int64_t padding;          // the id whose gradient is zero, or -1
  T* dtable;                // [rows, D]
};

template <class T>
void embedding(const ThreadPool& pool, const Embedding<T>& args);
// Each row is written once, by one thread, which adds its positions in their order.
template <class T>
void embedding_backward(const ThreadPool& pool, const EmbeddingBackward<T>& args);

}  // namespace textnn::cpu
