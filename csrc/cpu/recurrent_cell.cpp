#include "recurrent_cell.h"
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "../math/cells.h"
#include "capability.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "recurrent_cell_kernels.h"
#include "foreach_isa.h"

namespace {

// Of a unit of work: enough that another thread is worth waking.
constexpr int64_t kSumsPerUnit = 8192;

template <class Cell, class Args>
void for_rows(const ThreadPool& pool, const Args& args, void (*row)(const Args&, int64_t)) {
  const int64_t rows = std::max<int64_t>(1, kSumsPerUnit / std::max<int64_t>(1, Cell::kSums * args.H));
  for_units(pool, (args.B + rows - 1) / rows, [&](int64_t unit) {
    for (int64_t b = unit * rows; b < std::min(args.B, (unit + 1) * rows); ++b) row(args, b);
  });
}

}  // namespace

template <class Cell, class T>
void recurrent_cell(const ThreadPool& pool, const RecurrentCell<T>& args) {
  for_rows<Cell>(pool, args, TEXTNN_PICK(recurrent_cell_row<Cell, T>));
}

template <class Cell, class T>
void recurrent_cell_backward(const ThreadPool& pool, const RecurrentCellBackward<T>& args) {
  for_rows<Cell>(pool, args, TEXTNN_PICK(recurrent_cell_backward_row<Cell, T>));
}

#define TEXTNN_CELL_OF(Cell, T)                                                         \
  template void recurrent_cell<math::Cell>(const ThreadPool&, const RecurrentCell<T>&); \
  template void recurrent_cell_backward<math::Cell>(const ThreadPool&, const RecurrentCellBackward<T>&);
#define TEXTNN_CELL(Cell) TEXTNN_CELL_OF(Cell, float) TEXTNN_CELL_OF(Cell, double)
TEXTNN_FOR_EACH_CELL(TEXTNN_CELL)
#undef TEXTNN_CELL
#undef TEXTNN_CELL_OF

}  // namespace textnn::cpu
