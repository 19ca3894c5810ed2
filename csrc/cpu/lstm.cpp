#include "lstm.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
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

bool at_the_same_time(const ThreadPool& pool, const Schedule& s, int64_t row_bytes, int64_t few_row_bytes) {
  constexpr int64_t kManyRows = 12;  // for each thread: sequences are then shared out, and nobody waits
  return pool.threads == 2 && s.B < pool.threads * kManyRows &&
         (s.B <= kFewRows ? few_row_bytes : row_bytes) <= kRecurrentCacheBytes;
}

// run(pool of one thread, direction) for both.
template <class F>
void each_on_its_own(const ThreadPool& pool, F&& run) {
  for_units(pool, 2, [&](int64_t direction) { run(ThreadPool{1, pool.run}, direction); });
}

}  // namespace

template <class T>
void bilstm_forward(const ThreadPool& pool, const LstmForward<T>& ahead, const LstmForward<T>& reverse) {
  const int64_t unit = 4 * ahead.H * int64_t(sizeof(T));
  if (at_the_same_time(pool, ahead.schedule, (ahead.I + ahead.P) * unit, ahead.P * unit))
    return each_on_its_own(pool, [&](const ThreadPool& one, int64_t d) { lstm_forward(one, d ? reverse : ahead); });
  lstm_forward(pool, ahead);
  lstm_forward(pool, reverse);
}

template <class T>
void bilstm_backward(const ThreadPool& pool, const LstmBackward<T>& ahead, const LstmBackward<T>& reverse) {
  const int64_t unit = 4 * ahead.H * int64_t(sizeof(T)), I = ahead.I;
  const Schedule& s = ahead.schedule;
  LstmBackward<T> second = reverse;
  if (!at_the_same_time(pool, s, ((ahead.dx ? I : 0) + ahead.P) * unit, ahead.P * unit)) {
    lstm_backward(pool, ahead);
    second.add_dx = true;
    return lstm_backward(pool, second);
  }
  // The second direction's dx in packed order, to be added afterwards.
  const bool tokens = ahead.tokens.token;
  const int64_t size = ahead.dx ? (tokens ? ahead.tokens.U : s.N) * I : 0;
  Workspace workspace(Workspace::bytes<T>(size) + Workspace::bytes<int64_t>(s.B) + Workspace::bytes<int64_t>(s.T));
  T* dx = workspace.take<T>(size);
  int64_t *sequence = workspace.take<int64_t>(s.B), *step = workspace.take<int64_t>(s.T);
  for (int64_t b = 0; b < s.B; ++b) sequence[b] = b * I;
  for (int64_t t = 0; t < s.T; ++t) step[t] = s.first_row[t] * I;
  if (ahead.dx) {
    second.dx = dx;
    second.dx_layout = {sequence, step};
  }
  each_on_its_own(pool, [&](const ThreadPool& one, int64_t d) { lstm_backward(one, d ? second : ahead); });
  const auto add = [](T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  };
  if (tokens && ahead.dx) return add(ahead.dx, dx, size);
  for (int64_t t = 0; ahead.dx && t < s.T; ++t)
    for (int64_t b = 0; b < s.batch_size[t]; ++b)
      add(ahead.dx + ahead.dx_layout.sequence_offset[b] + ahead.dx_layout.step_offset[t], dx + sequence[b] + step[t],
          I);
}

template void lstm_forward(const ThreadPool&, const LstmForward<float>&);
template void lstm_forward(const ThreadPool&, const LstmForward<double>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<float>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<double>&);
template void bilstm_forward(const ThreadPool&, const LstmForward<float>&, const LstmForward<float>&);
template void bilstm_forward(const ThreadPool&, const LstmForward<double>&, const LstmForward<double>&);
template void bilstm_backward(const ThreadPool&, const LstmBackward<float>&, const LstmBackward<float>&);
template void bilstm_backward(const ThreadPool&, const LstmBackward<double>&, const LstmBackward<double>&);

}  // namespace textnn::cpu
