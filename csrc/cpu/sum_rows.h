// The sum of some rows, for one instruction set (included through foreach_isa.h).

namespace TEXTNN_ISA {

// to [D] = sum of the `count` rows of x that are named by `rows`; rows of D values stand `stride` apart.
template <class T>
void sum_rows(T* to, const T* x, const int32_t* rows, int64_t count, int64_t D, int64_t stride) {
  constexpr int64_t L = kLanes<T>, kBlock = 8;
  for (int64_t begin = 0; begin < D; begin += kBlock * L) {
    const int64_t vectors = std::min(kBlock, (D - begin + L - 1) / L);
    Vec<T> sum[kBlock] = {};
    for (int64_t i = 0; i < count; ++i) {
      const T* row = x + rows[i] * stride;
      for (int64_t v = 0, d = begin; v < vectors; ++v, d += L) sum[v] += load(row + d, D - d);
    }
    for (int64_t v = 0, d = begin; v < vectors; ++v, d += L) store(to + d, sum[v], D - d);
  }
}

}  // namespace TEXTNN_ISA
