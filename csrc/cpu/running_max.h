// The ends of sums over windows: each on its own, or their maxima with the first window where each stands, for one
// instruction set (included through foreach_isa.h).

namespace TEXTNN_ISA {

// Adds the bias, activates and stores the sums of one window: channels c.. of C.
template <class T>
[[gnu::always_inline]] inline void store_window(const Vec<T>& sums, math::Activation activation, const T* bias,
                                                int64_t c, int64_t C, T* y) {
  const int64_t used = std::min(kLanes<T>, C - c);
  const Vec<T> z = bias ? sums + load(bias + c, used) : sums;
  store(y + c, math::activate<VectorMath<T>>(activation, z), used);
}

template <class T, int N>
struct RunningMax {
  Vec<T> value[N];
  IVec<T> window[N];

  [[gnu::always_inline]] inline void start() {
    for (int n = 0; n < N; ++n) {
      value[n] = broadcast<T>(-std::numeric_limits<T>::infinity());
      window[n] = IVec<T>{};
    }
  }

  // A NaN wins over every number and stays, as in torch.max.
  [[gnu::always_inline]] inline void see(int n, const Vec<T>& z, int64_t at) {
    const auto better = (z > value[n]) | ((z != z) & (value[n] == value[n]));
    value[n] = better ? z : value[n];
    window[n] = better ? Int<T>(at) - IVec<T>{} : window[n];
  }

  // Adds the bias, activates, and stores n-th vector, channels c.. of C, to y and (if not null) to where.
  inline void finish(int n, math::Activation activation, const T* bias, int64_t c, int64_t C, T* y,
                     int32_t* where) const {
    const int64_t used = std::min(kLanes<T>, C - c);
    store_window(value[n], activation, bias, c, C, y);
    if (where)
      for (int64_t v = 0; v < used; ++v) where[c + v] = int32_t(window[n][v]);
  }
};

}  // namespace TEXTNN_ISA
