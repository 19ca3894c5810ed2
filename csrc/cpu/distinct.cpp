#include "distinct.h"
#include <algorithm>
#include "workspace.h"

namespace textnn::cpu {
namespace {

constexpr int64_t kWordsPerId = 16;  // a map of V bits pays while it has at most this many words for each position

int64_t by_bits(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token) {
  const int64_t words = (V + 63) / 64;
  Workspace workspace(Workspace::bytes<uint64_t>(words) + Workspace::bytes<int32_t>(words));
  uint64_t* word = workspace.take<uint64_t>(words);
  int32_t* before = workspace.take<int32_t>(words);  // distinct ids below the word's first
  std::fill(word, word + words, uint64_t(0));
  for (int64_t n = 0; n < N; ++n) word[ids[n] >> 6] |= uint64_t(1) << (ids[n] & 63);
  int32_t U = 0;
  for (int64_t w = 0; w < words; ++w) {
    before[w] = U;
    for (uint64_t bits = word[w]; bits; bits &= bits - 1) distinct[U++] = w * 64 + __builtin_ctzll(bits);
  }
  for (int64_t n = 0; n < N; ++n) {
    const uint64_t below = word[ids[n] >> 6] & ((uint64_t(1) << (ids[n] & 63)) - 1);
    token[n] = before[ids[n] >> 6] + __builtin_popcountll(below);
  }
  return U;
}

int64_t by_sorting(const int64_t* ids, int64_t N, int64_t* distinct, int32_t* token) {
  Workspace workspace(Workspace::bytes<int64_t>(N));
  int64_t* sorted = workspace.take<int64_t>(N);
  std::copy(ids, ids + N, sorted);
  std::sort(sorted, sorted + N);
  const int64_t U = std::unique_copy(sorted, sorted + N, distinct) - distinct;
  for (int64_t n = 0; n < N; ++n) token[n] = int32_t(std::lower_bound(distinct, distinct + U, ids[n]) - distinct);
  return U;
}

}  // namespace

int64_t find_distinct(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token) {
  for (int64_t n = 0; n < N; ++n)
    if (ids[n] < 0 || ids[n] >= V) return -1 - n;
  return V / 64 <= kWordsPerId * N ? by_bits(ids, N, V, distinct, token) : by_sorting(ids, N, distinct, token);
}

}  // namespace textnn::cpu
