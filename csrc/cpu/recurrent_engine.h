// The engine, compiled for one cell: a file of cells/ for each, so that they are compiled side by side.
//
//   #include "../recurrent_engine.h"
//   TEXTNN_RECURRENT_CELL(math::Gru)
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include "../math/cells.h"
#include "cache.h"
#include "capability.h"
#include "recurrent.h"
#include "team_size.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "recurrent_kernels.h"
#include "foreach_isa_amx.h"

template <class Cell, class T>
void recurrent_forward(const ThreadPool& pool, const RecurrentForward<T>& args) {
  if constexpr (std::is_same_v<T, float>)
    if (args.bfloat16) return (TEXTNN_PICK_TILES(recurrent_forward_bfloat16<Cell>))(pool, args);
  (TEXTNN_PICK(recurrent_forward<Cell, T>))(pool, args);
}

template <class Cell, class T>
void recurrent_backward(const ThreadPool& pool, const RecurrentBackward<T>& args) {
  if constexpr (std::is_same_v<T, float>)
    if (args.bfloat16) return (TEXTNN_PICK_TILES(recurrent_backward_bfloat16<Cell>))(pool, args);
  (TEXTNN_PICK(recurrent_backward<Cell, T>))(pool, args);
}

namespace {

// Of a packed weight: where the CPU multiplies no pairs of bfloat16 it is a float that has been rounded.
template <class T>
int64_t value_bytes(bool bfloat16) {
  return bfloat16 && capability() >= Capability::kAvx512Bf16 ? 2 : int64_t(sizeof(T));
}

// From the bytes of W_ih, where a step reads it, and of W_hh.
template <class T>
bool at_the_same_time(const ThreadPool& pool, const Schedule& s, int64_t input, int64_t state, bool bfloat16) {
  const double work = double(s.N) * double(input + state) / double(value_bytes<T>(bfloat16));
  return side_by_side(pool.threads, work, s.T, s.B, (s.B <= kFewRows ? state : input + state) <= core_cache_bytes());
}

// run(pool of one thread, direction) for both.
template <class F>
void each_on_its_own(const ThreadPool& pool, F&& run) {
  for_units(pool, 2, [&](int64_t direction) { run(ThreadPool{1, pool.run}, direction); });
}

// Of W_ih and of W_hh.
template <class Cell, class T>
std::pair<int64_t, int64_t> weight_bytes(int64_t I, int64_t H, int64_t P, bool bfloat16) {
  const int64_t unit = H * value_bytes<T>(bfloat16);
  return {I * Cell::kInput.size * unit, P * Cell::kState.size * unit};
}

}  // namespace

template <class Cell, class T>
void bidirectional_forward(const ThreadPool& pool, const RecurrentForward<T>& ahead,
                           const RecurrentForward<T>& reverse) {
  const auto [input, state] = weight_bytes<Cell, T>(ahead.I, ahead.H, ahead.P, ahead.bfloat16);
  if (at_the_same_time<T>(pool, ahead.schedule, input, state, ahead.bfloat16))
    return each_on_its_own(
        pool, [&](const ThreadPool& one, int64_t d) { recurrent_forward<Cell>(one, d ? reverse : ahead); });
  recurrent_forward<Cell>(pool, ahead);
  recurrent_forward<Cell>(pool, reverse);
}

template <class Cell, class T>
void bidirectional_backward(const ThreadPool& pool, const RecurrentBackward<T>& ahead,
                            const RecurrentBackward<T>& reverse) {
  const int64_t I = ahead.I;
  const auto [input, state] = weight_bytes<Cell, T>(ahead.dx ? I : 0, ahead.H, ahead.P, ahead.bfloat16);
  const Schedule& s = ahead.schedule;
  RecurrentBackward<T> second = reverse;
  if (!at_the_same_time<T>(pool, s, input, state, ahead.bfloat16)) {
    recurrent_backward<Cell>(pool, ahead);
    second.add_dx = true;
    return recurrent_backward<Cell>(pool, second);
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
  each_on_its_own(pool, [&](const ThreadPool& one, int64_t d) { recurrent_backward<Cell>(one, d ? second : ahead); });
  const auto add = [](T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  };
  if (tokens && ahead.dx) return add(ahead.dx, dx, size);
  for (int64_t t = 0; ahead.dx && t < s.T; ++t)
    for (int64_t b = 0; b < s.batch_size[t]; ++b)
      add(ahead.dx + ahead.dx_layout.sequence_offset[b] + ahead.dx_layout.step_offset[t], dx + sequence[b] + step[t],
          I);
}

#define TEXTNN_RECURRENT_OF(Cell, T)                                                         \
  template void recurrent_forward<Cell>(const ThreadPool&, const RecurrentForward<T>&);      \
  template void recurrent_backward<Cell>(const ThreadPool&, const RecurrentBackward<T>&);    \
  template void bidirectional_forward<Cell>(const ThreadPool&, const RecurrentForward<T>&,   \
                                            const RecurrentForward<T>&);                     \
  template void bidirectional_backward<Cell>(const ThreadPool&, const RecurrentBackward<T>&, \
                                             const RecurrentBackward<T>&);
#define TEXTNN_RECURRENT_CELL(Cell) TEXTNN_RECURRENT_OF(Cell, float) TEXTNN_RECURRENT_OF(Cell, double)

}  // namespace textnn::cpu
