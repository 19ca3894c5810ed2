// The n best of what leads to one tag: a merge of K lists, each in falling order (Huang and Chiang 2005, Better k-best
// parsing, section 4.1).
#pragma once
#include <cstdint>
#include "host_device.h"

namespace textnn::math {

// The best `n` of scores[i * n + rank] + step(i), over i < K and ranks; of equal ones the smallest i, then rank.
// head [K] is scratch. put(rank, score, i * n + its rank) is called in falling order; once the paths are used up with
// a score of -infinity and 0.
template <class T, class Step, class Put>
TEXTNN_HOST_DEVICE inline void merge_best(int64_t K, int64_t n, const T* scores, Step&& step, int32_t* head,
                                          Put&& put) {
  const T none = T(-INFINITY);
  for (int64_t i = 0; i < K; ++i) head[i] = 0;
  for (int64_t rank = 0; rank < n; ++rank) {
    T best = none;
    int64_t at = -1;
    for (int64_t i = 0; i < K; ++i) {
      if (head[i] == n) continue;
      const T score = scores[i * n + head[i]] + step(i);
      if (score > best) {
        best = score;
        at = i;
      }
    }
    put(rank, best, at < 0 ? int64_t(0) : at * n + head[at]);
    if (at >= 0) ++head[at];
  }
}

}  // namespace textnn::math
