// The arguments of a kernel by name, as module.cpp takes them from a Python dictionary of numpy arrays and numbers:
//
//   {"h0": array, "H": 17, ...}  ->  Arguments  ->  a.size("H"), a.array<const T>("h0", B * H), ...
//
// No header of Python here: what only hands arguments on compiles in a second.
#pragma once
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include "../../csrc/cpu/parallel.h"

namespace textnn::native {

// A numpy array in C order.
struct Array {
  void* data;
  int64_t count;
  char kind;  // f floating point, i signed integer, as in numpy
  int64_t item_size;
};

struct Arguments {
  std::map<std::string, Array> arrays;
  std::map<std::string, int64_t> sizes;

  bool has(const std::string& name) const { return arrays.count(name) > 0; }
  int64_t size(const std::string& name) const { return find(sizes, name); }
  int64_t count(const std::string& name) const { return find(arrays, name).count; }

  // The values of the array, `count` of T (-1: any number). An empty array has no address, as in the operators.
  template <class T>
  T* array(const std::string& name, int64_t count = -1) const {
    const Array& a = find(arrays, name);
    if (a.kind != (std::is_floating_point_v<T> ? 'f' : 'i') || a.item_size != int64_t(sizeof(T)))
      throw std::invalid_argument(name + " does not have the type that the kernel wants");
    if (count >= 0 && a.count != count)
      throw std::invalid_argument(name + " must have " + std::to_string(count) + " values, got " +
                                  std::to_string(a.count));
    return a.count ? static_cast<T*>(a.data) : nullptr;
  }
  // Null where there is no such array.
  template <class T>
  T* optional(const std::string& name, int64_t count = -1) const {
    return has(name) ? array<T>(name, count) : nullptr;
  }
  // f(T{}) with the type of the array `name`.
  template <class F>
  void dispatch(const std::string& name, F&& f) const {
    if (find(arrays, name).item_size == sizeof(float))
      f(float{});
    else
      f(double{});
  }

 private:
  template <class V>
  static const V& find(const std::map<std::string, V>& values, const std::string& name) {
    const auto found = values.find(name);
    if (found == values.end()) throw std::invalid_argument("the kernel wants an argument " + name);
    return found->second;
  }
};

using Kernel = void(const cpu::ThreadPool&, const Arguments&);
Kernel adam_rows, adam_exact_rows, adam_catch_up, embedding, embedding_backward;
Kernel quantized_lstm;
Kernel text_conv_forward, embedding_text_conv_forward, text_conv_backward;
Kernel frozen_text_conv, quantize_products;
Kernel max_mean_pool, max_mean_pool_backward;
Kernel crf_forward, crf_backward, crf_decode;
Kernel fold_logits, logit_gradients, gather_and_add_rows;
Kernel instruction_bfloat16_pairs, instruction_bfloat16, instruction_bytes, instruction_tiles;  // of x86

// For each cell of csrc/math/cells.h.
template <class Cell>
void recurrent_cell(const cpu::ThreadPool&, const Arguments&);
template <class Cell>
void recurrent_cell_backward(const cpu::ThreadPool&, const Arguments&);
// The last two run both directions.
template <class Cell>
void recurrent_forward(const cpu::ThreadPool&, const Arguments&);
template <class Cell>
void recurrent_backward(const cpu::ThreadPool&, const Arguments&);
template <class Cell>
void bidirectional_forward(const cpu::ThreadPool&, const Arguments& ahead, const Arguments& reverse);
template <class Cell>
void bidirectional_backward(const cpu::ThreadPool&, const Arguments& ahead, const Arguments& reverse);

}  // namespace textnn::native
