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

template void lstm_forward(const ThreadPool&, const LstmForward<float>&);
template void lstm_forward(const ThreadPool&, const LstmForward<double>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<float>&);
template void lstm_backward(const ThreadPool&, const LstmBackward<double>&);

}  // namespace textnn::cpu
