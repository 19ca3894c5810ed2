// csrc/cpu/embedding.h and adam.h, called with arguments by the names that they have there; the real numbers of a step
// are the array "settings": step size, floor, beta1, beta2.
#include "../../csrc/cpu/adam.h"
#include "../../csrc/cpu/embedding.h"
#include "arrays.h"

namespace textnn::native {
namespace {

cpu::AdamStep settings(const Arguments& a) {
  const double* x = a.array<const double>("settings", 4);
  return {x[0], x[1], x[2], x[3]};
}

template <class T>
cpu::AdamTable<T> table(const Arguments& a) {
  const int64_t V = a.size("V"), D = a.size("D");
  return {V, D, a.array<T>("p", V * D), a.array<T>("m", V * D), a.array<T>("v", V * D)};
}

template <class T>
cpu::RowGradients<T> gradients(const Arguments& a) {
  const int64_t U = a.count("row");
  return {U, a.array<const int64_t>("row"), a.array<const T>("g", U * a.size("D"))};
}

cpu::AdamHistory history(const Arguments& a) {
  const cpu::AdamStep s = settings(a);
  return {a.array<double>("history"), a.size("base"), a.size("step"), s.beta1, s.beta2};
}

}  // namespace

void embedding(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("table", [&](auto zero) {
    using T = decltype(zero);
    const int64_t N = a.count("ids"), D = a.size("D");
    cpu::embedding<T>(pool, {N, D, a.array<const int64_t>("ids"), a.array<const T>("table"), a.array<T>("y", N * D)});
  });
}

void embedding_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("dy", [&](auto zero) {
    using T = decltype(zero);
    const int64_t N = a.count("token"), D = a.size("D"), rows = a.size("rows");
    cpu::embedding_backward<T>(pool, {N, D, a.count("distinct"), a.array<const int64_t>("distinct"),
                                      a.array<const int32_t>("token"), a.array<const T>("dy", N * D), rows,
                                      a.size("dense") != 0, a.size("padding"), a.array<T>("dtable", rows * D)});
  });
}

void adam_rows(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("p", [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_rows<T>(pool, table<T>(a), gradients<T>(a), settings(a));
  });
}

// With the history's next step, as the operator makes it.
void adam_exact_rows(const cpu::ThreadPool& pool, const Arguments& a) {
  cpu::AdamHistory h = history(a);
  const cpu::AdamStep s = settings(a);
  a.dispatch("p", [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_exact_rows<T>(pool, table<T>(a), h, a.array<int32_t>("last", a.size("V")), gradients<T>(a), s);
  });
  h.append(s.step_size, s.floor);
}

void adam_catch_up(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("p", [&](auto zero) {
    using T = decltype(zero);
    cpu::adam_catch_up<T>(pool, table<T>(a), history(a), a.array<int32_t>("last", a.size("V")),
                          a.has("ids") ? a.count("ids") : 0, a.optional<const int64_t>("ids"));
  });
}

}  // namespace textnn::native
