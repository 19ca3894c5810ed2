// What every operator needs of torch: the stable ABI's tensors, a torch-free thread pool on torch's threads, checks.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#pragma GCC diagnostic pop
#include "../cpu/parallel.h"
#include "../cpu/workspace.h"
#include "later_torch.h"

namespace textnn::ops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Tensors = std::vector<Tensor>;

inline void run_on_torch(int64_t n, void (*body)(int64_t, int64_t, void*), void* context) {
  // The first error is thrown again here: torch would say that a call of its own failed, and not why.
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr error;
  torch::stable::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    try {
      body(begin, end, context);
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
}
inline cpu::ThreadPool torch_threads() { return {int(torch::stable::get_num_threads()), &run_on_torch}; }

// f(T{}) with the tensor's floating-point type.
template <class F>
void dispatch(const Tensor& t, F&& f) {
  const ScalarType type = t.scalar_type();
  if (type == ScalarType::Float) return f(float{});
  STD_TORCH_CHECK(type == ScalarType::Double, "textnn: vectors and weights must be float32 or float64, got ",
                  torch::headeronly::toString(type));
  f(double{});
}

inline std::string shape_of(const std::vector<int64_t>& size) {
  std::string s = "[";
  for (size_t i = 0; i < size.size(); ++i) s += (i ? ", " : "") + std::to_string(size[i]);
  return s + "]";
}
inline std::string shape_of(const Tensor& t) {
  std::vector<int64_t> size;
  for (int64_t i = 0; i < t.dim(); ++i) size.push_back(t.size(i));
  return shape_of(size);
}

// -1 stands for any size.
inline void check_shape(const char* name, const Tensor& t, const std::vector<int64_t>& want) {
  bool same = t.dim() == int64_t(want.size());
  for (size_t i = 0; same && i < want.size(); ++i) same = want[i] < 0 || t.size(int64_t(i)) == want[i];
  if (same) return;
  std::string text;
  for (const int64_t n : want) text += (text.empty() ? "" : ", ") + (n < 0 ? std::string("*") : std::to_string(n));
  STD_TORCH_CHECK(false, "textnn: ", name, " must have shape [", text, "], got ", shape_of(t));
}

inline void check_dtype(const char* name, const Tensor& t, const Tensor& like) {
  STD_TORCH_CHECK(t.scalar_type() == like.scalar_type(), "textnn: ", name, " must have the dtype of the input, ",
                  torch::headeronly::toString(like.scalar_type()), ", got ",
                  torch::headeronly::toString(t.scalar_type()));
}

inline void check_dtype(const char* name, const Tensor& t, ScalarType type) {
  STD_TORCH_CHECK(t.scalar_type() == type, "textnn: ", name, " must have the dtype ", torch::headeronly::toString(type),
                  ", got ", torch::headeronly::toString(t.scalar_type()));
}

// What kernels and results count in 32 bits.
constexpr int64_t kMostCounted = std::numeric_limits<int32_t>::max();

// The product of sizes; an error where one is negative, or the product is above `most`.
inline int64_t product(const char* of_what, std::initializer_list<int64_t> sizes,
                       int64_t most = std::numeric_limits<int64_t>::max()) {
  int64_t n = 1;
  bool fits = true, zero = false;
  for (const int64_t size : sizes) fits &= size >= 0, zero |= size == 0;
  for (const int64_t size : sizes) fits = fits && (zero || (!__builtin_mul_overflow(n, size, &n) && n <= most));
  std::string text;
  if (!fits)
    for (const int64_t size : sizes) text += (text.empty() ? "" : " x ") + std::to_string(size);
  STD_TORCH_CHECK(fits, "textnn: ", of_what, " must not exceed ", most, ", got ", text);
  return zero ? 0 : n;
}

// The memory of a tensor holds all of its elements: it does not where somebody has given it back (resize_).
inline void check_memory(const Tensor& t) {
  if (t.numel() == 0) return;
  int64_t bytes;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(t.get(), &bytes));
  int64_t last = t.storage_offset();
  const auto sizes = t.sizes(), strides = t.strides();
  for (size_t i = 0; i < sizes.size(); ++i) last += (sizes[i] - 1) * strides[i];
  STD_TORCH_CHECK(last < bytes / int64_t(t.element_size()), "textnn: a tensor of shape ", shape_of(t), " needs ",
                  last + 1, " elements in memory, got ", bytes / int64_t(t.element_size()));
}

// -1 stands for no padding.
inline void check_padding_idx(int64_t padding_idx, int64_t V) {
  STD_TORCH_CHECK(padding_idx >= -1 && padding_idx < V, "textnn: padding_idx must be -1 or lie in [0, ", V, "), got ",
                  padding_idx);
}

// Positions that a forward pass has kept, of a sentence's features: all in [0, positions). One pass of vectors where
// they are, as backward passes are given the kept ones of every batch.
inline void check_kept_positions(const char* name, const int32_t* kept, int64_t features, int64_t positions,
                                 int64_t sentence) {
  uint32_t most = 0;
  for (int64_t f = 0; f < features; ++f) most = most < uint32_t(kept[f]) ? uint32_t(kept[f]) : most;
  if (most < uint64_t(positions)) return;
  for (int64_t f = 0; f < features; ++f)
    STD_TORCH_CHECK(kept[f] >= 0 && kept[f] < positions, "textnn: ", name, " must lie in [0, ", positions,
                    ") for sentence ", sentence, ", got ", kept[f]);
}

// Not by torch::stable::contiguous alone: the call costs a microsecond even where there is nothing to do.
inline Tensor compact(const Tensor& t) {
  check_memory(t);
  return t.is_contiguous() ? t : torch::stable::contiguous(t);
}
inline OptionalTensor compact(const OptionalTensor& t) { return t ? OptionalTensor(compact(*t)) : std::nullopt; }

// x with contiguous vectors; the dimensions before may have any strides.
inline Tensor with_contiguous_vectors(const Tensor& x) {
  check_memory(x);
  return x.dim() == 0 || x.size(x.dim() - 1) <= 1 || x.stride(x.dim() - 1) == 1 ? x : compact(x);
}

// The leading dimensions of x and `last`.
inline std::vector<int64_t> leading(const Tensor& x, int64_t last) {
  std::vector<int64_t> size;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) size.push_back(x.size(i));
  size.push_back(last);
  return size;
}

template <class T>
const T* pointer(const OptionalTensor& t) {
  return t ? t->const_data_ptr<T>() : nullptr;
}
template <class T>
T* writable(Tensor& t) {
  return t.numel() ? t.mutable_data_ptr<T>() : nullptr;
}

namespace detail {
// What the C functions of torch call a type, a device or a layout.
template <class Name>
int32_t number(Name name) {
  return torch::stable::detail::to<int32_t>(torch::stable::detail::from(name));
}

inline std::vector<int64_t> strides_of(const std::vector<int64_t>& size) {
  std::vector<int64_t> stride(size.size());
  if (!size.empty()) stride.back() = 1;
  for (size_t i = size.size(); i-- > 1;) stride[i - 1] = stride[i] * std::max<int64_t>(1, size[i]);
  return stride;
}
}  // namespace detail

// On the device of like, past the dispatcher, which takes longer than the step of a small cell.
inline Tensor empty(const Tensor& like, const std::vector<int64_t>& size) {
  const std::vector<int64_t> stride = detail::strides_of(size);
  const torch::stable::Device device = like.device();
  AtenTensorHandle result;
  const auto code =
      aoti_torch_empty_strided(int64_t(size.size()), size.data(), stride.data(), detail::number(like.scalar_type()),
                               detail::number(device.type()), device.index(), &result);
  STD_TORCH_CHECK(code == 0, "textnn: torch could not make a tensor of shape ", shape_of(size));
  return Tensor(result);
}

// A tensor on the buffer, which returns to the kernels' pool with it. Where torch_from_blob is there.
inline Tensor on_buffer(const cpu::Buffer& buffer, const Tensor& like, const std::vector<int64_t>& size,
                        const std::vector<int64_t>& stride) {
  using detail::number;
  const torch::stable::Device device = like.device();
  AtenTensorHandle result;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_from_blob(
      buffer.data, int64_t(size.size()), size.data(), stride.data(), 0, number(like.scalar_type()),
      number(device.type()), device.index(), &result, number(torch::headeronly::Layout::Strided), nullptr, 0,
      [](void*, void* context) {
        const std::unique_ptr<cpu::Buffer> owned(static_cast<cpu::Buffer*>(context));
        cpu::return_buffer(*owned);
      },
      new cpu::Buffer(buffer)));
  return Tensor(result);
}

// The same as empty() on the CPU with memory from the kernels' pool: for results of megabytes, whose fresh pages would
// cost as much as the arithmetic. used: how many rows will be written at most. Torch 2.10 has no tensors that give
// their memory back, and pays for the pages.
inline Tensor pooled(const Tensor& like, const std::vector<int64_t>& size, int64_t used = -1) {
  constexpr int64_t kLeast = 1 << 20;
  int64_t bytes = int64_t(like.element_size());
  for (const int64_t part : size) bytes = product("the bytes of a result", {bytes, part});
  if (bytes < kLeast || !torch_from_blob) return empty(like, size);
  return on_buffer(cpu::take_buffer(size_t(bytes), size_t(used < 0 ? bytes : bytes / size[0] * used)), like, size,
                   detail::strides_of(size));
}

}  // namespace textnn::ops
