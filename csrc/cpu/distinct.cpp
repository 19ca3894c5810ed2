#include "distinct.h"
#include <algorithm>
#include "workspace.h"

namespace textnn::cpu {
namespace {

constexpr int32_t kNone = -1;
constexpr int64_t kDense = 16;  // a table of V entries pays while V is below this many times N

// Calls place(n) for a reference to the entry of ids[n], which holds its number or kNone.
template <class Place>
int64_t number(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token, Place&& place) {
  int32_t U = 0;
  for (int64_t n = 0; n < N; ++n) {
    const int64_t id = ids[n];
    if (id < 0 || id >= V) return -1 - n;
    int32_t& entry = place(id);
    if (entry == kNone) {
      distinct[U] = id;
      entry = U++;
    }
    token[n] = entry;
  }
  return U;
}

}  // namespace

int64_t find_distinct(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token) {
  if (V <= kDense * N) {
    Workspace workspace(Workspace::bytes<int32_t>(V));
    int32_t* entry = workspace.take<int32_t>(V);
    std::fill(entry, entry + V, kNone);
    return number(ids, N, V, distinct, token, [&](int64_t id) -> int32_t& { return entry[id]; });
  }
  int shift = 60;  // a power of two of at least 2N slots; linear probing from the high bits of a multiplicative hash
  while ((int64_t(1) << (64 - shift)) < 2 * N) --shift;
  const int64_t slots = int64_t(1) << (64 - shift);
  Workspace workspace(Workspace::bytes<int32_t>(slots));
  int32_t* entry = workspace.take<int32_t>(slots);
  std::fill(entry, entry + slots, kNone);
  return number(ids, N, V, distinct, token, [&](int64_t id) -> int32_t& {
    uint64_t slot = (uint64_t(id) * 0x9e3779b97f4a7c15u) >> shift;
    while (entry[slot] != kNone && distinct[entry[slot]] != id) slot = (slot + 1) & uint64_t(slots - 1);
    return entry[slot];
  });
}

int64_t find_distinct_sorted(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token) {
  const int64_t words = (V + 63) / 64;
  Workspace workspace(Workspace::bytes<uint64_t>(words) + Workspace::bytes<int32_t>(words));
  uint64_t* word = workspace.take<uint64_t>(words);
  int32_t* before = workspace.take<int32_t>(words);  // distinct ids below the word's first
  std::fill(word, word + words, uint64_t(0));
  for (int64_t n = 0; n < N; ++n) {
    if (ids[n] < 0 || ids[n] >= V) return -1 - n;
    word[ids[n] >> 6] |= uint64_t(1) << (ids[n] & 63);
  }
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

}  // namespace textnn::cpu
