// csrc/cpu/crf.h, called with arguments by the names that they have there.
#include "../../csrc/cpu/crf.h"
#include "arrays.h"

namespace textnn::native {
namespace {

template <class T>
cpu::Crf<T> crf(const Arguments& a) {
  const int64_t B = a.count("length"), K = a.size("K");
  return {{B, a.array<const int64_t>("start"), a.array<const int64_t>("length", B)},
          a.size("step"),
          a.size("longest"),
          K,
          a.array<const T>("x"),
          a.array<const T>("start_scores", K),
          a.array<const T>("end_scores", K),
          a.array<const T>("transitions", K * K),
          a.optional<const int64_t>("tags")};
}

}  // namespace

void crf_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    cpu::crf_forward<T>(pool, {crf<T>(a), a.array<T>("y", a.count("length")), a.optional<T>("alphas", a.count("x"))});
  });
}

void crf_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    const int64_t K = a.size("K");
    cpu::crf_backward<T>(
        pool, {crf<T>(a), a.optional<const T>("dy"), a.optional<const T>("alphas"), a.array<T>("dx", a.count("x")),
               a.optional<T>("dstart", K), a.optional<T>("dend", K), a.optional<T>("dtransitions", K * K)});
  });
}

void crf_decode(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    const int64_t best = a.size("best"), rows = a.count("x") / a.size("K");
    cpu::crf_decode<T>(pool, {crf<T>(a), best, rows, a.array<int64_t>("paths", best * rows),
                              a.array<T>("scores", best * a.count("length"))});
  });
}

}  // namespace textnn::native
