// Numpy arrays and sizes by name, in the form in which the kernels' argument structures want them.
//
//   Python: {"h0": array, "H": 17, ...}  ->  Arguments  ->  cpu::LstmForward<T>{..., a.size("H"), a.array<const
//   T>("h0", B * H), ...}
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include "../../csrc/cpu/parallel.h"
#include "pools.h"

namespace textnn::native {

namespace py = pybind11;

class Arguments {
 public:
  explicit Arguments(const py::dict& values) : values_(values) {}

  bool has(const char* name) const { return values_.contains(name) && !values_[name].is_none(); }
  int64_t size(const char* name) const { return values_[name].cast<int64_t>(); }
  int64_t count(const char* name) const { return values_[name].cast<py::array>().size(); }

  // The values of the array, which must be T in C order, `count` of them (-1: any number). An empty array has no
  // address, as in the operators.
  template <class T>
  T* array(const char* name, int64_t count = -1) const {
    using Value = std::remove_const_t<T>;
    const py::object value = values_[name];
    if (!py::isinstance<py::array_t<Value, py::array::c_style>>(value))
      throw std::invalid_argument(std::string(name) + " must be an array in C order of the type that the kernel wants");
    const auto a = py::reinterpret_borrow<py::array_t<Value>>(value);
    if (count >= 0 && a.size() != count)
      throw std::invalid_argument(std::string(name) + " must have " + std::to_string(count) + " values, got " +
                                  std::to_string(a.size()));
    if (a.size() == 0) return nullptr;
    if constexpr (std::is_const_v<T>)
      return a.data();
    else
      return py::array_t<Value>(a).mutable_data();
  }
  // Null where the argument is missing or None.
  template <class T>
  T* optional(const char* name, int64_t count = -1) const {
    return has(name) ? array<T>(name, count) : nullptr;
  }
  // f(T{}) with the type of the array `name`.
  template <class F>
  void dispatch(const char* name, F&& f) const {
    if (py::isinstance<py::array_t<float>>(values_[name]))
      f(float{});
    else
      f(double{});
  }

 private:
  py::dict values_;
};

// Every family of kernels adds its functions to the module.
void bind_lstm(py::module_& m);
void bind_text_conv(py::module_& m);
void bind_parallel(py::module_& m);

}  // namespace textnn::native
