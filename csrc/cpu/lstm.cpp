#include "lstm.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include "../math/lstm_cell.h"
#include "capability.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "lstm_kernels.h"
#include "foreach_isa.h"

template <class T>
void lstm_forward(const ThreadPool& pool, const LstmForward<T>& args) {
  TEXTNN_PICK(lstm_forward<T>)(pool, args);
}

template <class T>
void lstm_backward(const ThreadPool& pool, const LstmBackward<T>& args) {
  TEXTNN_PICK(lstm_backward<T>)(pool, args);
}

namespace {

constexpr int64_t kRowsPerUnit = 64;

template <class Body>
void for_packed_rows(const ThreadPool& pool, const Schedule& schedule, Body&& body) {
  const int64_t per_step = (schedule.B + kRowsPerUnit - 1) / kRowsPerUnit;
  for_units(pool, schedule.T * per_step, [&](int64_t unit) {
    const int64_t t = unit / per_step, begin = unit % per_step * kRowsPerUnit;
    for (int64_t b = begin; b < std::min(begin + kRowsPerUnit, schedule.batch_size[t]); ++b)
      body(b, t, schedule.first_row[t] + b);
  });
}

}  // namespace

template <class T>
void gather_rows(const ThreadPool& pool, const Schedule& schedule, const T* from, Layout layout, int64_t width,
                 T* packed) {
  for_packed_rows(pool, schedule, [&](int64_t b, int64_t t, int64_t row) {
    std::memcpy(packed + row * width, from + layout.sequence_offset[b] + layout.step_offset[t], width * sizeof(T));
  });
}

template <class T>
void scatter_rows(const ThreadPool& pool, const Schedule& schedule, const T* packed, int64_t width, T* to,
                  Layout layout) {
  for_packed_rows(pool, schedule, [&](int64_t b, int64_t t, int64_t row) {
    std::memcpy(to + layout.sequence_offset[b] + layout.step_offset[t], packed + row * width, width * sizeof(T));
  });
}

template void lstm_forward(const ThreadPool&, const LstmForward<float>&);
template void lstm_forward(const ThreadPool&, const LstmForward<double>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<float>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<double>&);
template void gather_rows(const ThreadPool&, const Schedule&, const float*, Layout, int64_t, float*);
template void gather_rows(const ThreadPool&, const Schedule&, const double*, Layout, int64_t, double*);
template void scatter_rows(const ThreadPool&, const Schedule&, const float*, int64_t, float*, Layout);
template void scatter_rows(const ThreadPool&, const Schedule&, const double*, int64_t, double*, Layout);

}  // namespace textnn::cpu
