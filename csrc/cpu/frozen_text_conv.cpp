#include "frozen_text_conv.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include "capability.h"
#include "workspace.h"

namespace textnn::cpu {
namespace {

// How much of the table a thread reads before it is worth waking another.
constexpr int64_t kFrozenBytesPerThread = 2 << 20;

}  // namespace

#define TEXTNN_KERNEL "frozen_text_conv_kernels.h"
#include "foreach_isa.h"

template <class E>
void frozen_text_conv(const ThreadPool& pool, const FrozenTextConv<E>& args) {
  TEXTNN_PICK(frozen_text_conv<E>)(pool, args);
}

template <class E>
void quantize_products(const ThreadPool& pool, const QuantizeProducts<E>& args) {
  TEXTNN_PICK(quantize_products<E>)(pool, args);
}

template void frozen_text_conv(const ThreadPool&, const FrozenTextConv<float>&);
template void frozen_text_conv(const ThreadPool&, const FrozenTextConv<double>&);
template void frozen_text_conv(const ThreadPool&, const FrozenTextConv<int16_t>&);
template void frozen_text_conv(const ThreadPool&, const FrozenTextConv<int8_t>&);
template void quantize_products(const ThreadPool&, const QuantizeProducts<int16_t>&);
template void quantize_products(const ThreadPool&, const QuantizeProducts<int8_t>&);

}  // namespace textnn::cpu
