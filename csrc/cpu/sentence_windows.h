// The windows of a sentence over the products of its tokens, for one instruction set (included through foreach_isa.h).
//
// Both convolutions of token ids, live and frozen, are this loop: it gathers the products that stand under a window's
// taps, adds them and hands the sums on. How products are found and what becomes of the sums is the caller's business.

namespace TEXTNN_ISA {

// How many tokens at a sentence's end can be left out. It ends in a run of one token, padding most of the time, and the
// windows of K taps that lie inside the run are all equal: K tokens of it give the same set of windows.
template <class Id>
[[gnu::always_inline]] inline int64_t repeated_tail(const Id* token, int64_t length, int64_t K) {
  int64_t first = length - 1;
  while (first > 0 && token[first - 1] == token[length - 1]) --first;
  return std::max<int64_t>(0, length - first - K);
}

// N vectors of A out of elements of the same or of a narrower type.
template <class A, class E>
[[gnu::always_inline]] inline Vec<A> load_as(const E* p) {
  if constexpr (std::is_same_v<A, E>) {
    return load(p);
  } else {
    typedef E narrow __attribute__((vector_size(kLanes<A> * sizeof(E))));
    narrow v;
    __builtin_memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, Vec<A>);
  }
}

// see(z, w) for every window w of K taps, the first of which stands `left` in front of the sentence, the next ones
// `stride` tokens apart; z are the sums over the taps k inside the sentence of the N vectors at product(token, k).
template <class A, int N, class Product, class See>
[[gnu::always_inline]] inline void for_windows(int64_t K, int64_t left, int64_t length, int64_t windows, int64_t stride,
                                               Product&& product, See&& see) {
  for (int64_t w = 0; w < windows; ++w) {
    const int64_t at = w * stride - left;  // of its first tap
    const int64_t begin = std::max<int64_t>(0, -at), end = std::min(K, length - at);
    Vec<A> z[N] = {};
    for (int64_t k = begin; k < end; ++k) {
      const auto* p = product(at + k, k);
      for (int n = 0; n < N; ++n) z[n] += load_as<A>(p + n * kLanes<A>);
    }
    see(z, w);
  }
}

}  // namespace TEXTNN_ISA
