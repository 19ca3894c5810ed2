// The module of the native tests: the torch-free kernels of csrc/cpu on numpy arrays. Here are the parts that work
// without threads; the families of kernels have files of their own.
#include <string>
#include "../../csrc/cpu/capability.h"
#include "../../csrc/cpu/distinct.h"
#include "arrays.h"
#include "vector_math.h"

namespace textnn::native {
namespace {

int64_t find_distinct(const py::dict& values) {
  const Arguments a(values);
  const int64_t N = a.count("ids"), V = a.size("V");
  return cpu::find_distinct(a.array<const int64_t>("ids"), N, V, a.array<int64_t>("distinct", std::min(N, V)),
                            a.array<int32_t>("token", N));
}

void vector_math(const std::string& function, const py::dict& values) {
  const Arguments a(values);
  const int64_t n = a.count("x");
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    cpu::apply<T>(function, a.array<const T>("x"), a.array<T>("y", n), n);
  });
}

}  // namespace
}  // namespace textnn::native

PYBIND11_MODULE(textnn_native, m) {
  using namespace textnn;
  m.def("capability", [] { return std::string(cpu::capability_name(cpu::capability())); });
  m.def("set_capability", &cpu::set_capability);
  m.def("find_distinct", &native::find_distinct);
  m.def("vector_math", &native::vector_math);
  native::bind_lstm(m);
  native::bind_text_conv(m);
  native::bind_parallel(m);
}
