// The sum of some rows, for one instruction set (included through foreach_isa.h).

namespace TEXTNN_ISA {

// Rows of T as they stand. Others (precision.h) are stored in fewer bits than they are summed in.
template <class T_>
struct PlainRows {
  using T = T_;
  using Stored = T;
  static Vec<T> read(const Stored* from, int64_t n) { return load(from, n); }
  static void write(Stored* to, const Vec<T>& v, int64_t n) { store(to, v, n); }
};

// to [D] = sum of the `count` rows of x that are named by `rows`; rows of D values stand `stride` apart.
template <class Of>
void sum_rows_of(typename Of::Stored* to, const typename Of::Stored* x, const int32_t* rows, int64_t count, int64_t D,
                 int64_t stride) {
  using T = typename Of::T;
  constexpr int64_t L = kLanes<T>, kBlock = 8;
  for (int64_t begin = 0; begin < D; begin += kBlock * L) {
    const int64_t vectors = std::min(kBlock, (D - begin + L - 1) / L);
    Vec<T> sum[kBlock] = {};
    for (int64_t i = 0; i < count; ++i) {
      const auto* row = x + rows[i] * stride;
      for (int64_t v = 0, d = begin; v < vectors; ++v, d += L) sum[v] += Of::read(row + d, D - d);
    }
    for (int64_t v = 0, d = begin; v < vectors; ++v, d += L) Of::write(to + d, sum[v], D - d);
  }
}

template <class T>
void sum_rows(T* to, const T* x, const int32_t* rows, int64_t count, int64_t D, int64_t stride) {
  sum_rows_of<PlainRows<T>>(to, x, rows, count, D, stride);
}

}  // namespace TEXTNN_ISA
