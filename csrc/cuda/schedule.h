// A ragged batch as the recurrent kernels see it (cpu/schedule.h), on the device: the same arrays, made on the host
// where the caller's sizes are there, or by kernels from sizes on the device, without a synchronisation.
//
//   b   0..B-1   sequences in order of falling length, so that the active ones are always 0..batch_size[t]-1
//   t   0..T-1   time steps
//
// What is kept, and the products of the input, stand in packed order: row first_row[t] + b.
#pragma once
#include "../math/host_device.h"
#include "sizes.h"

namespace textnn::cuda {

struct Schedule {
  int64_t B;
  int64_t T;                  // no sequence is longer; only the device knows the greatest length, length[0]
  int64_t rows;               // there are no more; first_row[T] is their number
  const int64_t* sequence;    // [B] place of sequence b in the caller's order
  const int64_t* length;      // [B] falling
  const int64_t* batch_size;  // [T] how many sequences are longer than t
  const int64_t* first_row;   // [T + 1] sum of the batch sizes before t

  // The time of the s-th step that is taken in sequence b, and the row where it stands.
  TEXTNN_HOST_DEVICE int64_t time(int64_t b, int64_t s, bool reverse) const { return reverse ? length[b] - 1 - s : s; }
  TEXTNN_HOST_DEVICE int64_t row(int64_t b, int64_t time) const { return first_row[time] + b; }
};

// Where the vector of (b, t) stands in a tensor, in elements.
enum class Order { kPadded, kFlat, kPacked };
struct Layout {
  Order order;
  int64_t sequence_stride;  // padded: from one sequence to the next
  int64_t step_stride;      // from one step, or row, to the next
  const int64_t* start;     // flat: [B] first rows in the caller's order
};

TEXTNN_HOST_DEVICE inline int64_t offset(const Layout& l, const Schedule& s, int64_t b, int64_t time) {
  const int64_t q = s.sequence[b];
  if (l.order == Order::kPadded) return q * l.sequence_stride + time * l.step_stride;
  return ((l.order == Order::kFlat ? l.start[q] + time : s.first_row[time] + q)) * l.step_stride;
}

// Lengths [B] in the caller's order, from lengths, offsets or batch sizes [T]; one that is out of range stops the
// kernel.
enum class LengthsOf { kAll, kLengths, kOffsets, kBatchSizes };
struct Lengths {
  LengthsOf kind;
  const int64_t* sizes;  // [B], [T] of batch sizes, or null
  int64_t B, T, N;       // N: flat rows
  int64_t* length;       // [B]
};
void lengths(Stream stream, const Lengths& args);

// batch_size and first_row from the sorted lengths.
struct Steps {
  int64_t B, T;
  int64_t rows;           // the sum of the lengths, or -1: not known
  const int64_t* length;  // [B] falling
  int64_t* batch_size;    // [T]
  int64_t* first_row;     // [T + 1]
};
void steps(Stream stream, const Steps& args);

// Whether the stream is being captured into a graph: then nothing may wait for the device.
bool capturing(Stream stream);

}  // namespace textnn::cuda
