// A ragged batch as the recurrent kernels see it.
//
//   b   0..B-1   sequences in order of falling length, so that the active ones are always 0..batch_size[t]-1
//   t   0..T-1   time steps, T the greatest length
//
// Input and output vectors of (b, t) stand at element offset sequence_offset[b] + step_offset[t] of their tensor. This
// sum covers every layout: time-major, batch-major, flat with offsets, and PackedSequence. What is kept for the
// backward pass stands in packed order: row first_row[t] + b, the order of a PackedSequence.
#pragma once
#include <cstdint>

namespace textnn::cpu {

struct Layout {
  const int64_t* sequence_offset;  // [B]
  const int64_t* step_offset;      // [T]
};

struct Schedule {
  int64_t B, T, N;            // N: sum of the lengths
  const int64_t* sequence;    // [B] place of sequence b in the caller's order
  const int64_t* length;      // [B] falling
  const int64_t* batch_size;  // [T] how many sequences are longer than t
  const int64_t* first_row;   // [T] sum of the batch sizes before t
  bool reverse;               // from each sequence's last step to its first

  // The time of the s-th step that is taken in sequence b.
  int64_t time(int64_t b, int64_t s) const { return reverse ? length[b] - 1 - s : s; }
  // Where (b, s) is kept.
  int64_t row(int64_t b, int64_t s) const { return first_row[time(b, s)] + b; }
};

// The sequences of one member of a team: first, first + stride, ... of those that are active, so that every member gets
// long and short ones alike.
struct Rows {
  int64_t first, stride;
  int64_t count(int64_t active) const { return active > first ? (active - first + stride - 1) / stride : 0; }
  int64_t operator[](int64_t i) const { return first + i * stride; }
};

// What is kept for each hidden unit stands in blocks of a cache line, [blocks][rows][...][kUnits<T>]: a kernel that
// goes through the rows with a few units in hand then reads and writes in order. The same for every instruction set;
// units behind the last one are padding.
template <class T>
constexpr int64_t kUnits = 64 / int64_t(sizeof(T));
template <class T>
constexpr int64_t unit_blocks(int64_t H) {
  return (H + kUnits<T> - 1) / kUnits<T>;
}

// A tile of this many rows or fewer is bound by reading the weights. Products that need not be made step by step are
// then put off until there are kSliceRows rows for them.
constexpr int64_t kFewRows = 3, kSliceRows = 48;

}  // namespace textnn::cpu
