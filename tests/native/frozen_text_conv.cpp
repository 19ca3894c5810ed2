// csrc/cpu/frozen_text_conv.h, called with arguments by the names that they have there.
#include "../../csrc/cpu/frozen_text_conv.h"
#include "arrays.h"

namespace textnn::native {
namespace {

cpu::TextConvKernelSizes sizes(const Arguments& a) {
  return {a.count("taps"),
          a.size("C"),
          0,
          a.array<const int64_t>("taps"),
          a.size("same") != 0,
          math::Activation(int(a.size("activation")))};
}

// f(E{}) with the type of the elements of the array `name`.
template <class F>
void dispatch_elements(const Arguments& a, const std::string& name, F&& f) {
  if (a.arrays.at(name).kind == 'f') return a.dispatch(name, f);
  a.arrays.at(name).item_size == 2 ? f(int16_t{}) : f(int8_t{});
}

template <class E>
void gather(const cpu::ThreadPool& pool, const Arguments& a) {
  using T = typename cpu::Frozen<E>::Result;
  const cpu::TextConvKernelSizes k = sizes(a);
  const int64_t B = a.count("start"), row = k.taps_before(k.S) * cpu::frozen_width<E>(k.C), columns = k.S * k.C;
  const cpu::FrozenTextConv<E> args{{B, a.array<const int64_t>("start"), a.array<const int64_t>("length")},
                                    k,
                                    a.array<const int64_t>("row"),
                                    a.size("R"),
                                    a.array<const E>("table", a.size("R") * row),
                                    a.array<const E>("more"),
                                    a.optional<const T>("scale", columns),
                                    a.array<const T>("bias", columns),
                                    a.array<T>("y", B * columns)};
  cpu::frozen_text_conv(pool, args);
}

template <class E>
void quantize(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::TextConvKernelSizes k = sizes(a);
  const int64_t n = a.size("U") * k.taps_before(k.S) * cpu::frozen_width<E>(k.C);
  cpu::quantize_products<E>(pool, {k, a.size("U"), a.array<const float>("from", n),
                                   a.array<const float>("scale", k.S * k.C), a.array<E>("to", n)});
}

}  // namespace

void frozen_text_conv(const cpu::ThreadPool& pool, const Arguments& a) {
  dispatch_elements(a, "table", [&](auto zero) { gather<decltype(zero)>(pool, a); });
}

void quantize_products(const cpu::ThreadPool& pool, const Arguments& a) {
  a.arrays.at("to").item_size == 2 ? quantize<int16_t>(pool, a) : quantize<int8_t>(pool, a);
}

}  // namespace textnn::native
