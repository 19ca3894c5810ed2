#include "adam.h"
#include <limits>
#include <type_traits>
#include <vector>
#include "capability.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "adam_kernels.h"
#include "foreach_isa.h"

namespace {

constexpr int64_t kElementsPerUnit = 4096;

// row(i) for i in [0, n), some rows of D elements a unit.
template <class F>
void for_rows(const ThreadPool& pool, int64_t n, int64_t D, F&& row) {
  const int64_t rows = std::max<int64_t>(1, kElementsPerUnit / std::max<int64_t>(1, D));
  for_units(pool, (n + rows - 1) / rows, [&](int64_t unit) {
    for (int64_t i = unit * rows; i < std::min(n, (unit + 1) * rows); ++i) row(i);
  });
}

}  // namespace

template <class T>
void adam_rows(const ThreadPool& pool, const AdamTable<T>& table, const RowGradients<T>& gradients,
               const AdamStep& step) {
  const auto update = TEXTNN_PICK(adam_update_row<T>);
  for_rows(pool, gradients.U, table.D,
           [&](int64_t u) { update(table, gradients.row[u], gradients.g + u * table.D, step); });
}

template <class T>
void adam_exact_rows(const ThreadPool& pool, const AdamTable<T>& table, const AdamHistory& history, int32_t* last,
                     const RowGradients<T>& gradients, const AdamStep& step) {
  const auto update = TEXTNN_PICK(adam_update_row<T>);
  const auto catch_up = TEXTNN_PICK(adam_catch_up_row<T>);
  for_rows(pool, gradients.U, table.D, [&](int64_t u) {
    const int64_t row = gradients.row[u];
    if (last[row] >= 0 && last[row] < history.step) catch_up(table, row, history.missed(last[row]), history);
    update(table, row, gradients.g + u * table.D, step);
    last[row] = int32_t(history.step + 1);
  });
}

template <class T>
void adam_catch_up(const ThreadPool& pool, const AdamTable<T>& table, const AdamHistory& history, int32_t* last,
                   int64_t N, const int64_t* ids) {
  // One thread collects the rows that are behind: `last` then says of every further occurrence that it is done.
  std::vector<int64_t> row;
  std::vector<int32_t> since;
  const int64_t n = ids ? N : table.V;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t id = ids ? ids[i] : i;
    if (id < 0 || id >= table.V || last[id] < 0 || last[id] >= history.step) continue;
    row.push_back(id);
    since.push_back(last[id]);
    last[id] = int32_t(history.step);
  }
  const auto catch_up = TEXTNN_PICK(adam_catch_up_row<T>);
  for_rows(pool, int64_t(row.size()), table.D,
           [&](int64_t i) { catch_up(table, row[size_t(i)], history.missed(since[size_t(i)]), history); });
}

template void adam_rows(const ThreadPool&, const AdamTable<float>&, const RowGradients<float>&, const AdamStep&);
template void adam_exact_rows(const ThreadPool&, const AdamTable<float>&, const AdamHistory&, int32_t*,
                              const RowGradients<float>&, const AdamStep&);
template void adam_catch_up(const ThreadPool&, const AdamTable<float>&, const AdamHistory&, int32_t*, int64_t,
                            const int64_t*);
template void adam_rows(const ThreadPool&, const AdamTable<double>&, const RowGradients<double>&, const AdamStep&);
template void adam_exact_rows(const ThreadPool&, const AdamTable<double>&, const AdamHistory&, int32_t*,
                              const RowGradients<double>&, const AdamStep&);
template void adam_catch_up(const ThreadPool&, const AdamTable<double>&, const AdamHistory&, int32_t*, int64_t,
                            const int64_t*);

}  // namespace textnn::cpu
