// Vectors of a ragged batch from the caller's layout into packed order, and back. A batch that lies in packed order
// already, as a PackedSequence or a dense time-major one does, needs neither.
#pragma once
#include "schedule.h"

namespace textnn::cuda {

// E may also be int32_t or int64_t: elements are only copied.
template <class E>
struct PackRows {
  Schedule schedule;
  Layout layout;
  int64_t D;
  const E* from;       // (b, t) at layout, D contiguous values; with ids the table [V, D]
  const int64_t* ids;  // at layout: which row of the table stands there; or null
  int64_t V;           // rows of the table; an id outside stops the kernel
  E* to;               // [rows, D]; zeros behind the last row
};
template <class E>
void pack_rows(Stream stream, const PackRows<E>& args);

// from + more, where there are two.
template <class E>
struct UnpackRows {
  Schedule schedule;
  Layout layout;
  int64_t D;
  const E* from;  // [rows, D]
  const E* more;  // [rows, D] or null
  E* to;          // (b, t) at layout; elsewhere nothing is written
};
template <class E>
void unpack_rows(Stream stream, const UnpackRows<E>& args);

}  // namespace textnn::cuda
