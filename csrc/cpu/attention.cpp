#include "attention.h"
#include <algorithm>
#include <atomic>
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

// body(unit, scratch) for n units, each thread with a scratch of its own for the states of the longest sentence and so
// many queries.
template <class T, class F>
void for_units_with_scratch(const ThreadPool& pool, const Attention<T>& a, int64_t queries, int64_t n, F&& body) {
  int64_t longest = 0;
  for (int64_t b = 0; b < a.sentences.B; ++b) longest = std::max(longest, a.sentences.length[b]);
  std::atomic<int64_t> next{0};
  for_units(pool, std::min<int64_t>(pool.threads, n), [&](int64_t) {
    Workspace workspace(Workspace::bytes<T>(queries * longest));
    T* scratch = workspace.take<T>(queries * longest);
    for (int64_t unit; (unit = next.fetch_add(1, std::memory_order_relaxed)) < n;) body(unit, scratch);
  });
}

}  // namespace

template <class T>
void attention_forward(const ThreadPool& pool, const AttentionForward<T>& args) {
  const auto attend = TEXTNN_PICK(attend<T>);
  const Attention<T>& a = args.attention;
  const int64_t parts = (a.Q + kQueries - 1) / kQueries, queries = args.weights ? 0 : std::min(a.Q, kQueries);
  for_units_with_scratch(threads_for(pool, a, 2), a, queries, a.sentences.B * parts, [&](int64_t unit, T* scratch) {
    const int64_t b = unit / parts, part = unit % parts;
    attend(args, b, part * a.Q / parts, (part + 1) * a.Q / parts, scratch);
  });
}

template <class T>
void attention_backward(const ThreadPool& pool, const AttentionBackward<T>& args) {
  const auto attend_backward = TEXTNN_PICK(attend_backward<T>);
  const Attention<T>& a = args.attention;
  for_units_with_scratch(threads_for(pool, a, 4), a, a.Q, a.sentences.B,
                         [&](int64_t b, T* scratch) { attend_backward(args, b, scratch); });
}

template void attention_forward(const ThreadPool&, const AttentionForward<float>&);
template void attention_forward(const ThreadPool&, const AttentionForward<double>&);
template void attention_backward(const ThreadPool&, const AttentionBackward<float>&);
template void attention_backward(const ThreadPool&, const AttentionBackward<double>&);

}  // namespace textnn::cpu
