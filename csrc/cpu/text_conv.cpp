#include "text_conv.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>
#include "cache.h"
#include "capability.h"
#include "clear.h"
#include "workspace.h"

namespace textnn::cpu {

// One kernel and some vectors of its channels: what a thread takes at a time.
struct ConvUnit {
  int64_t i, first, vectors;
};

namespace {

// The widest units whose products fit the core's cache and that leave something for every thread, those with the most
// taps first: the threads then finish nearly together. tap_bytes: the products of one tap and vector; C in vectors.
std::vector<ConvUnit> plan_units(const TextConvKernelSizes& sizes, int64_t tap_bytes, int64_t widest, int64_t C,
                                 int64_t threads) {
  std::vector<ConvUnit> units;
  for (int64_t i = 0; i < sizes.S; ++i) {
    const int64_t fit = std::max<int64_t>(1, core_cache_bytes() / std::max<int64_t>(1, sizes.taps[i] * tap_bytes));
    const int64_t width = std::min({fit, widest, (C + threads - 1) / threads});
    for (int64_t v = 0; v < C; v += width) units.push_back({i, v, std::min(width, C - v)});
  }
  std::stable_sort(units.begin(), units.end(), [&](const ConvUnit& a, const ConvUnit& b) {
    return sizes.taps[a.i] * a.vectors > sizes.taps[b.i] * b.vectors;
  });
  return units;
}

}  // namespace

#define TEXTNN_KERNEL "text_conv_kernels.h"
#include "foreach_isa_amx.h"

template <class T>
void embedding_text_conv_forward(const ThreadPool& pool, const EmbeddingTextConvForward<T>& args) {
  if constexpr (std::is_same_v<T, float>)
    if (args.sizes.bfloat16) return (TEXTNN_PICK_TILES(embedding_text_conv_forward_bfloat16))(pool, args);
  (TEXTNN_PICK(embedding_text_conv_forward<T>))(pool, args);
}

template <class T>
void text_conv_forward(const ThreadPool& pool, const TextConvForward<T>& args) {
  if constexpr (std::is_same_v<T, float>)
    if (args.sizes.bfloat16) return (TEXTNN_PICK_TILES(text_conv_forward_bfloat16))(pool, args);
  (TEXTNN_PICK(text_conv_forward<T>))(pool, args);
}

template <class T>
void text_conv_backward(const ThreadPool& pool, const TextConvBackward<T>& args) {
  if constexpr (std::is_same_v<T, float>)
    if (args.sizes.bfloat16) return (TEXTNN_PICK_TILES(text_conv_backward_bfloat16))(pool, args);
  (TEXTNN_PICK(text_conv_backward<T>))(pool, args);
}

template void embedding_text_conv_forward(const ThreadPool&, const EmbeddingTextConvForward<float>&);
template void embedding_text_conv_forward(const ThreadPool&, const EmbeddingTextConvForward<double>&);
template void text_conv_forward(const ThreadPool&, const TextConvForward<float>&);
template void text_conv_forward(const ThreadPool&, const TextConvForward<double>&);
template void text_conv_backward(const ThreadPool&, const TextConvBackward<float>&);
template void text_conv_backward(const ThreadPool&, const TextConvBackward<double>&);

}  // namespace textnn::cpu
