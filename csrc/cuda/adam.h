// Adam on the rows of a table that have a gradient (cpu/adam.h), at a cost that follows these rows and not the table.
//
// What a row has missed is a matter of some powers in float64, which most GPUs are slow at: one thread finds it for the
// whole row, marks the row as up to date, and leaves a Missed for the threads of the row's elements.
//
//   row, last, history ---------> Missed [rows] --adam_exact_rows, adam_catch_up--> p, m, v
#pragma once
#include "../math/adam.h"
#include "element.h"

namespace textnn::cuda {

using math::AdamTable;
using math::RowGradients;

// The rows have to rise, which is checked.
template <class T>
void adam_rows(Stream stream, const AdamTable<T>& table, const RowGradients<T>& gradients, const math::AdamStep& step);

// As adam_rows() at step history.step + 1, after what each row missed since step last[row]; -1 is a row whose moments
// are zero. last [V] is brought up to date, history is not. missed [U] is scratch.
template <class T>
void adam_exact_rows(Stream stream, const AdamTable<T>& table, const math::AdamHistory& history, int32_t* last,
                     const RowGradients<T>& gradients, const math::AdamStep& step, math::Missed* missed);

// history.append() on the device.
void adam_append(Stream stream, const math::AdamHistory& history, double step_size, double floor);

// What the rows ids [N] missed, or all rows where ids is null and N is V. An id may occur often; one outside of the
// table is passed over. missed [N] is scratch.
template <class T>
void adam_catch_up(Stream stream, const AdamTable<T>& table, const math::AdamHistory& history, int32_t* last, int64_t N,
                   const int64_t* ids, math::Missed* missed);

}  // namespace textnn::cuda
