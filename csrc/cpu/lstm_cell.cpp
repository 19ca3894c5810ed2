#include "lstm_cell.h"
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "../math/lstm.h"
#include "capability.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "lstm_cell_kernels.h"
#include "foreach_isa.h"

namespace {

constexpr int64_t kElementsPerUnit = 8192;

template <class Args>
void for_rows(const ThreadPool& pool, const Args& args, void (*row)(const Args&, int64_t)) {
  const int64_t rows = std::max<int64_t>(1, kElementsPerUnit / std::max<int64_t>(1, args.H));
  for_units(pool, (args.B + rows - 1) / rows, [&](int64_t unit) {
    for (int64_t b = unit * rows; b < std::min(args.B, (unit + 1) * rows); ++b) row(args, b);
  });
}

}  // namespace

template <class T>
void lstm_cell(const ThreadPool& pool, const LstmCell<T>& args) {
  for_rows(pool, args, TEXTNN_PICK(lstm_cell_row<T>));
}

template <class T>
void lstm_cell_backward(const ThreadPool& pool, const LstmCellBackward<T>& args) {
  for_rows(pool, args, TEXTNN_PICK(lstm_cell_backward_row<T>));
}

template void lstm_cell(const ThreadPool&, const LstmCell<float>&);
template void lstm_cell(const ThreadPool&, const LstmCell<double>&);
template void lstm_cell_backward(const ThreadPool&, const LstmCellBackward<float>&);
template void lstm_cell_backward(const ThreadPool&, const LstmCellBackward<double>&);

}  // namespace textnn::cpu
