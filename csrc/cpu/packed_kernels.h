// The weights of a convolution's kernels on their way into panels, for one instruction set (included through
// foreach_isa.h).
//
//   weight [C, D, K]  --transpose_channels-->  [D, K, n]  --gather_rows, for some of the columns-->  [depth of D][..]

namespace TEXTNN_ISA {

// n channels of kernel i from c on, a whole number of vectors: those behind the last one become zero.
template <class T>
void transpose_channels(const TextConvKernelSizes& k, const T* weight, int64_t i, int64_t c, int64_t n, T* to) {
  const int64_t rows = k.D * k.taps[i], used = std::min(n, k.C - c);
  if (used < n) std::memset(to, 0, rows * n * sizeof(T));
  transpose(weight + c * rows, rows, to, n, used, rows);
}

// D rows of n columns, whole vectors, `stride` apart, one behind the other as a product reads them. Returns the end.
template <class Product>
typename Product::Value* gather_rows(const typename Product::T* from, int64_t stride, int64_t D, int64_t n,
                                     typename Product::Value* to) {
  const auto begin = to, end = to + Product::depth(D) * n;
  for (int64_t d = 0; d < D; d += Product::kGroup, from += Product::kGroup * stride, to += n)
    Product::gather(from, d + 1 < D ? from + stride : nullptr, n, to);
  std::fill(to, end, 0);
  Product::settle(begin, n / kLanes<typename Product::T>, Product::depth(D));
  return end;
}

}  // namespace TEXTNN_ISA
