// Matrix products by torch's own library, shared out in parts of a fixed size, each made by one thread: results do not
// depend on the number of threads, which those of the library's own threads do. Long sums of float32 and float64 are
// cut, too: MKL cuts them by the number of threads that there might be, though it uses one (from 1024 terms on, of
// float64 from 256). Those of bfloat16, whose results are rounded, are left to oneDNN: with many terms they may depend
// on the number of threads in the last place.
#pragma once
#include <algorithm>
#include <type_traits>
#include "dispatcher.h"

namespace textnn::ops {

// Rows and columns of a matrix as a tensor of the calling thread's own. Threads of a pool do not know that gradients
// are switched off, nor of inference mode, whose tensors they must not write. Where torch_from_blob is there.
inline Tensor own_block(const Tensor& t, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  using torch::stable::detail::from;
  using torch::stable::detail::to;
  const auto number = [](auto name) { return to<int32_t>(from(name)); };
  const int64_t sizes[2] = {rows, columns}, strides[2] = {t.stride(0), t.stride(1)};
  const int64_t offset = (row * strides[0] + column * strides[1]) * int64_t(t.element_size());
  const torch::stable::Device device = t.device();
  AtenTensorHandle result;
  STABLE_TORCH_ERROR_CODE_CHECK(
      torch_from_blob(const_cast<char*>(static_cast<const char*>(t.const_data_ptr())) + offset, 2, sizes, strides, 0,
                      number(t.scalar_type()), number(device.type()), device.index(), &result,
                      number(torch::headeronly::Layout::Strided), nullptr, 0, nullptr, nullptr));
  return Tensor(result);
}

// Products out [M, N] = a [M, K] b [K, N] that may be made side by side; out has contiguous rows.
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
      const ScalarType type = p.out.scalar_type();
      if (type == ScalarType::Float) return in_pieces<float>(p);
      if (type == ScalarType::Double) return in_pieces<double>(p);
      piece(block(p.out, p.row, p.rows, p.column, p.columns), p, 0, p.a.size(1));
    };
    cpu::for_units(torch_from_blob ? pool : cpu::ThreadPool{1, pool.run}, int64_t(parts_.size()), make);
    parts_.clear();
  }

 private:
  struct Part {
    Tensor out, a, b;
    int64_t row, rows, column, columns;
  };
  template <class T>
  static constexpr int64_t kTerms = std::is_same_v<T, float> ? 512 : 128;  // of a sum

  static void piece(const Tensor& out, const Part& p, int64_t begin, int64_t terms) {
    mm_out(out, block(p.a, p.row, p.rows, begin, terms), block(p.b, begin, terms, p.column, p.columns));
  }
  template <class T>
  static void in_pieces(const Part& p) {
    const Tensor out = block(p.out, p.row, p.rows, p.column, p.columns);
    const int64_t K = p.a.size(1), stride = out.stride(0);
    piece(out, p, 0, std::min(K, kTerms<T>));
    if (K <= kTerms<T>) return;
    const Tensor more = empty(out, {p.rows, p.columns});
    T* to = static_cast<T*>(const_cast<void*>(out.const_data_ptr()));
    const T* from = more.const_data_ptr<T>();
    for (int64_t begin = kTerms<T>; begin < K; begin += kTerms<T>) {
      piece(more, p, begin, std::min(K - begin, kTerms<T>));
      for (int64_t r = 0; r < p.rows; ++r)
        for (int64_t c = 0; c < p.columns; ++c) to[r * stride + c] += from[r * p.columns + c];
    }
  }
  static Tensor block(Tensor t, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    if (torch_from_blob) return own_block(t, row, rows, column, columns);
    t = torch::stable::narrow(t, 0, row, rows);
    return torch::stable::narrow(t, 1, column, columns);
  }
  std::vector<Part> parts_;
};

}  // namespace textnn::ops
