#include "embedding.h"
#include <algorithm>
#include <type_traits>
#include "capability.h"
#include "clear.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "embedding_kernels.h"
#include "foreach_isa.h"

namespace {

constexpr int64_t kElementsPerUnit = 16384;

// part(begin, end) for parts of [0, rows) of some D elements each.
template <class F>
void for_parts(const ThreadPool& pool, int64_t rows, int64_t D, F&& part) {
  const int64_t size = std::max<int64_t>(1, kElementsPerUnit / std::max<int64_t>(1, D));
  for_units(pool, (rows + size - 1) / size,
            [&](int64_t unit) { part(unit * size, std::min(rows, (unit + 1) * size)); });
}

}  // namespace

template <class T>
void embedding(const ThreadPool& pool, const Embedding<T>& a) {
  for_parts(pool, a.N, a.D, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) std::copy_n(a.table + a.ids[n] * a.D, a.D, a.y + n * a.D);
  });
}

template <class T>
void embedding_backward(const ThreadPool& pool, const EmbeddingBackward<T>& a) {
  // The positions of each distinct token, one behind the other.
  Workspace workspace(Workspace::bytes<int32_t>(a.U + 1) + Workspace::bytes<int32_t>(a.N));
  int32_t* end = workspace.take<int32_t>(a.U + 1);
  int32_t* position = workspace.take<int32_t>(a.N);
  std::fill(end, end + a.U + 1, 0);
  for (int64_t n = 0; n < a.N; ++n) ++end[a.token[n] + 1];
  for (int64_t u = 0; u < a.U; ++u) end[u + 1] += end[u];  // now where u begins; placing moves it to its end
  for (int64_t n = 0; n < a.N; ++n) position[end[a.token[n]]++] = int32_t(n);

  const auto sum = TEXTNN_PICK(sum_rows<T>);
  const bool streamed = a.rows * a.D * int64_t(sizeof(T)) >= kStreamedBytes;
  for_parts(pool, a.rows, a.D, [&](int64_t begin, int64_t stop) {
    // One long run first: many short ones between the rows with a gradient cost more than writing these twice.
    if (a.dense) clear(a.dtable + begin * a.D, (stop - begin) * a.D * int64_t(sizeof(T)), streamed);
    int64_t u = a.dense ? std::lower_bound(a.distinct, a.distinct + a.U, begin) - a.distinct : begin;
    for (; u < a.U && (a.dense ? a.distinct[u] : u) < stop; ++u) {
      T* to = a.dtable + (a.dense ? a.distinct[u] : u) * a.D;
      const int32_t first = u ? end[u - 1] : 0;
      if (a.distinct[u] != a.padding)
        sum(to, a.dy, position + first, end[u] - first, a.D, a.D);
      else if (!a.dense)
        std::fill_n(to, a.D, T(0));
    }
  });
}

template void embedding(const ThreadPool&, const Embedding<float>&);
template void embedding(const ThreadPool&, const Embedding<double>&);
template void embedding_backward(const ThreadPool&, const EmbeddingBackward<float>&);
template void embedding_backward(const ThreadPool&, const EmbeddingBackward<double>&);

}  // namespace textnn::cpu
