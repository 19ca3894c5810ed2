// What the operators on CUDA tensors need beside ../tensors.h: the device and stream of a call, types of elements, and
// the few library functions that they build on.
//
// Everything here is done without a synchronisation and with memory of torch's own allocator, so that operators can be
// captured into a CUDA graph; what needs a size from the device (a sparse gradient) says so.
#pragma once
#include <array>
#include <type_traits>
#include <torch/csrc/stable/accelerator.h>
#include "../../cuda/element.h"
#include "../dispatcher.h"
#include "stream.h"

namespace textnn::ops::cuda {

using textnn::cuda::BFloat16;
using textnn::cuda::Float16;
using textnn::cuda::Stream;

// Operators register themselves for this key. The tests compile these sources against an emulator as well, and put the
// operators in the place of the CPU's.
#if defined(TEXTNN_CUDA_EMULATED)
#define TEXTNN_CUDA_KEY CPU
// Tensors are in the memory of the CPU; the stream is a name, and where sizes are said to be, is for the tests to
// choose.
extern Stream emulated_stream;
extern bool emulated_sizes_on_device;
inline bool on_host(const Tensor&) { return !emulated_sizes_on_device; }
struct Device {
  explicit Device(const Tensor&) {}
  Stream stream = emulated_stream;
};
#else
#define TEXTNN_CUDA_KEY CUDA
inline bool on_host(const Tensor& t) { return t.is_cpu(); }
// Makes a tensor's device the current one as long as it lives.
struct Device {
  explicit Device(const Tensor& t) : guard(t.get_device_index()), stream(current_stream(t.get_device_index())) {}
  torch::stable::accelerator::DeviceGuard guard;
  Stream stream;
};
#endif

// f(E{}) with the type of the tensor's elements.
template <class F>
void dispatch(const Tensor& t, F&& f) {
  const ScalarType type = t.scalar_type();
  if (type == ScalarType::Float) return f(float{});
  if (type == ScalarType::Double) return f(double{});
  if (type == ScalarType::Half) return f(Float16{});
  STD_TORCH_CHECK(type == ScalarType::BFloat16, "textnn: expected float32, float64, float16 or bfloat16 tensors");
  f(BFloat16{});
}

// Whether a tensor of this type has elements E; other E are memory without a type.
template <class E>
bool holds(ScalarType type) {
  if constexpr (std::is_same_v<E, float>) return type == ScalarType::Float;
  if constexpr (std::is_same_v<E, double>) return type == ScalarType::Double;
  if constexpr (std::is_same_v<E, Float16>) return type == ScalarType::Half;
  if constexpr (std::is_same_v<E, BFloat16>) return type == ScalarType::BFloat16;
  if constexpr (std::is_same_v<E, int32_t>) return type == ScalarType::Int;
  if constexpr (std::is_same_v<E, int64_t>) return type == ScalarType::Long;
  return true;
}
template <class E>
void check_holds(const Tensor& t) {
  STD_TORCH_CHECK(holds<E>(t.scalar_type()), "textnn: a tensor of another dtype than the others, of shape ",
                  shape_of(t));
}

template <class E>
const E* data(const Tensor& t) {
  check_holds<E>(t);
  return t.numel() ? static_cast<const E*>(t.const_data_ptr()) : nullptr;
}
template <class E>
const E* data(const OptionalTensor& t) {
  return t ? data<E>(*t) : nullptr;
}
template <class E>
E* writable(Tensor& t) {
  check_holds<E>(t);
  return t.numel() ? static_cast<E*>(t.mutable_data_ptr()) : nullptr;
}

inline Tensor empty(const Tensor& like, const std::vector<int64_t>& size) {
  return torch::stable::new_empty(like, size);
}
inline Tensor empty(const Tensor& like, const std::vector<int64_t>& size, ScalarType type) {
  return torch::stable::new_empty(like, size, type);
}
// Of float32 for halves, else of the tensor's own type: what kernels compute in.
inline ScalarType compute_type(const Tensor& t) {
  return t.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

namespace detail {
// The first `count` results of an operator.
template <class... A>
std::vector<Tensor> call_for(size_t count, const char* name, const char* overload, const A&... arguments) {
  constexpr size_t most = 4;
  static_assert(sizeof...(A) <= most);
  std::array<StableIValue, most> stack{torch::stable::detail::from(arguments)...};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  std::vector<Tensor> results;
  for (size_t i = 0; i < count; ++i) results.push_back(torch::stable::detail::to<Tensor>(stack[i]));
  return results;
}
}  // namespace detail

// Values and places of a vector in order; stable, so that equal ones keep theirs. On a GPU: a radix sort.
struct Sorted {
  Tensor value, place;
};
inline Sorted sort(const Tensor& a, bool descending) {
  const auto r = detail::call_for(2, "aten::sort", "stable", a, std::optional<bool>(true), int64_t(0), descending);
  return {r[0], r[1]};
}
inline Tensor t(const Tensor& a) { return torch::stable::transpose(a, 0, 1); }
inline void sum_rows_out(Tensor& out, const Tensor& a) { torch::stable::sum_out(out, a, std::vector<int64_t>{0}); }
// Rows begin .. begin + count.
inline Tensor rows(const Tensor& a, int64_t begin, int64_t count) {
  Tensor view = a;
  return torch::stable::narrow(view, 0, begin, count);
}

}  // namespace textnn::ops::cuda
