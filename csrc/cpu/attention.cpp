#include "attention.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include "capability.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "attention_kernels.h"
#include "foreach_isa.h"

namespace {

// Queries that a thread takes at a time: enough to read the states of a sentence for.
constexpr int64_t kQueries = 16;
// Multiply-adds of the whole call below which a second thread costs more than it saves.
constexpr double kLeastWork = 400e3;

template <class T>
ThreadPool threads_for(const ThreadPool& pool, const Attention<T>& a, double products) {
  double states = 0;
  for (int64_t b = 0; b < a.sentences.B; ++b) states += double(a.sentences.length[b]);
  const double work = states * double(a.Q) * double(a.H) * products;
  return {std::max(1, int(std::min<double>(pool.threads, work / kLeastWork + 1))), pool.run};
}

}  // namespace

template <class T>
void attention_forward(const ThreadPool& pool, const AttentionForward<T>& args) {
  const auto attend = TEXTNN_PICK(attend<T>);
  const Attention<T>& a = args.attention;
  const int64_t parts = (a.Q + kQueries - 1) / kQueries;
  for_units(threads_for(pool, a, 2), a.sentences.B * parts, [&](int64_t unit) {
    const int64_t b = unit / parts, part = unit % parts;
    attend(args, b, part * a.Q / parts, (part + 1) * a.Q / parts);
  });
}

template <class T>
void attention_backward(const ThreadPool& pool, const AttentionBackward<T>& args) {
  const auto attend_backward = TEXTNN_PICK(attend_backward<T>);
  for_units(threads_for(pool, args.attention, 4), args.attention.sentences.B,
            [&](int64_t b) { attend_backward(args, b); });
}

template void attention_forward(const ThreadPool&, const AttentionForward<float>&);
template void attention_forward(const ThreadPool&, const AttentionForward<double>&);
template void attention_backward(const ThreadPool&, const AttentionBackward<float>&);
template void attention_backward(const ThreadPool&, const AttentionBackward<double>&);

}  // namespace textnn::cpu
