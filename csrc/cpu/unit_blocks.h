// Rows of units as they are kept, in blocks of a cache line (schedule.h), for one instruction set (included through
// foreach_isa.h).

namespace TEXTNN_ISA {

// A row of H values, or of zeros if it is null, to blocks of a cache line (schedule.h) that stand `stride` apart, the
// last one filled up with zeros.
template <class T>
inline void to_blocks(const T* row, int64_t H, T* to, int64_t stride) {
  for (int64_t j = 0; j < H; j += kUnits<T>, to += stride) {
    const int64_t n = row ? std::min(kUnits<T>, H - j) : 0;
    if (n) std::copy(row + j, row + j + n, to);
    std::fill(to + n, to + kUnits<T>, T(0));
  }
}

}  // namespace TEXTNN_ISA
