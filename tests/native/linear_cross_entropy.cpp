// csrc/cpu/linear_cross_entropy.h, called with arguments by the names that they have there; logits of bfloat16 are
// int16.
#include "../../csrc/cpu/linear_cross_entropy.h"
#include "arrays.h"

namespace textnn::native {
namespace {

template <class S>
S* logits(const Arguments& a, const char* name) {
  if constexpr (std::is_floating_point_v<S>)
    return a.array<S>(name);
  else
    return reinterpret_cast<S*>(a.array<int16_t>(name));
}

// f(S{}) with what the array holds.
template <class F>
void dispatch(const Arguments& a, const char* name, F&& f) {
  if (a.arrays.at(name).item_size == sizeof(int16_t))
    f(cpu::Bfloat16Logit{});
  else
    a.dispatch(name, f);
}

template <class S>
cpu::LogitBlock<S> block(const Arguments& a) {
  using T = typename cpu::LogitMath<S>::type;
  const int64_t rows = a.count("target"), columns = a.size("columns");
  return {logits<S>(a, "z"),
          rows,
          columns,
          a.size("first"),
          a.array<const int64_t>("target"),
          a.optional<const T>("bias", columns),
          a.optional<const T>("weight", columns)};
}

}  // namespace

void fold_logits(const cpu::ThreadPool& pool, const Arguments& a) {
  dispatch(a, "z", [&](auto zero) {
    using S = decltype(zero);
    using T = typename cpu::LogitMath<S>::type;
    const int64_t rows = a.count("target");
    cpu::fold_logits<S>(pool, block<S>(a),
                        {a.array<T>("top", rows), a.array<double>("sum", rows), a.optional<double>("weighted", rows),
                         a.array<T>("score", rows)},
                        a.optional<T>("reference", rows));
  });
}

void logit_gradients(const cpu::ThreadPool& pool, const Arguments& a) {
  dispatch(a, "z", [&](auto zero) {
    using S = decltype(zero);
    using T = typename cpu::LogitMath<S>::type;
    const int64_t rows = a.count("target");
    cpu::logit_gradients<S>(
        pool, block<S>(a),
        {a.optional<const T>("reference", rows), a.array<const T>("lse", rows), a.array<const T>("all", rows),
         a.array<const T>("hit", rows), a.optional<const T>("smooth", rows)},
        a.optional<T>("dbias", a.size("columns")));
  });
}

void gather_and_add_rows(const cpu::ThreadPool& pool, const Arguments& a) {
  dispatch(a, "gathered", [&](auto zero) {
    using S = decltype(zero);
    using T = typename cpu::LogitMath<S>::type;
    const int64_t rows = a.count("row"), columns = a.size("columns");
    S* gathered = logits<S>(a, "gathered");
    cpu::gather_rows<S>(pool, gathered, a.array<const T>("x"), a.array<const int64_t>("row"), rows, columns);
    cpu::add_block<S>(pool, a.array<T>("sum", rows * columns), gathered, rows * columns, a.size("add") != 0);
  });
}

}  // namespace textnn::native
