// Adam on the rows of a table that have a gradient, at a cost that follows these rows and not the table.
#pragma once
#include "../math/adam.h"
#include "parallel.h"

namespace textnn::cpu {

using math::AdamHistory;
using math::AdamStep;
using math::AdamTable;
using math::Missed;
using math::RowGradients;

template <class T>
void adam_rows(const ThreadPool& pool, const AdamTable<T>& table, const RowGradients<T>& gradients,
               const AdamStep& step);

// As adam_rows() at step history.step + 1, after what each row missed since step last[row]; -1 is a row whose moments
// are zero. last [V] is brought up to date, history is not.
template <class T>
void adam_exact_rows(const ThreadPool& pool, const AdamTable<T>& table, const AdamHistory& history, int32_t* last,
                     const RowGradients<T>& gradients, const AdamStep& step);

// What the rows ids [N] missed, or all rows where ids is null. An id may occur often; one outside of the table is
// passed over.
template <class T>
void adam_catch_up(const ThreadPool& pool, const AdamTable<T>& table, const AdamHistory& history, int32_t* last,
                   int64_t N, const int64_t* ids);

}  // namespace textnn::cpu
