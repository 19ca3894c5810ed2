// Matrix products by torch's own library, shared out in parts of a fixed size, each made by one thread: results do not
// depend on the number of threads, which those of the library's own threads do.
#pragma once
#include <algorithm>
#include "dispatcher.h"

namespace textnn::ops {

// The same memory as a tensor without a history: threads of a pool do not know that gradients are switched off, nor of
// inference mode, in which the results here have been made. Where torch_from_blob is there.
inline Tensor same_memory(const Tensor& t) {
  using torch::stable::detail::from;
  using torch::stable::detail::to;
  const auto number = [](auto name) { return to<int32_t>(from(name)); };
  const auto sizes = t.sizes(), strides = t.strides();
  const torch::stable::Device device = t.device();
  AtenTensorHandle result;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_from_blob(const_cast<void*>(t.const_data_ptr()), t.dim(), sizes.data(),
                                                strides.data(), 0, number(t.scalar_type()), number(device.type()),
                                                device.index(), &result, number(torch::headeronly::Layout::Strided),
                                                nullptr, 0, nullptr, nullptr));
  return Tensor(result);
}

// Products out [M, N] = a [M, K] b [K, N] that may be made side by side.
class Products {
 public:
  // rows, columns: of a part. What is written has at least two parts, if it has two elements: a single one would be
  // left to the library's own threads.
  void add(const Tensor& out, const Tensor& a, const Tensor& b, int64_t rows, int64_t columns) {
    const int64_t M = out.size(0), N = out.size(1);
    if (M <= rows && N <= columns) (M > 1 ? rows : columns) = ((M > 1 ? M : N) + 1) / 2;
    for (int64_t m = 0; m < M; m += rows)
      for (int64_t n = 0; n < N; n += columns)
        parts_.push_back({out, a, b, m, std::min(rows, M - m), n, std::min(columns, N - n)});
  }

  void run(const cpu::ThreadPool& pool) {
    const auto make = [&](int64_t i) {
      const Part& p = parts_[size_t(i)];
      mm_out(block(block(p.out, 0, p.row, p.rows), 1, p.column, p.columns), block(p.a, 0, p.row, p.rows),
             block(p.b, 1, p.column, p.columns));
    };
    cpu::for_units(torch_from_blob ? pool : cpu::ThreadPool{1, pool.run}, int64_t(parts_.size()), make);
    parts_.clear();
  }

 private:
  struct Part {
    Tensor out, a, b;
    int64_t row, rows, column, columns;
  };
  static Tensor block(Tensor t, int64_t dim, int64_t begin, int64_t count) {
    return torch::stable::narrow(t, dim, begin, count);
  }
  std::vector<Part> parts_;
};

}  // namespace textnn::ops
