// Vectors of T and the functions on them that the kernels need, for one instruction set (included by kernel sources
// through foreach_isa.h; no include guard). GCC/clang vector extensions, so one source serves every set.
//
// exp, sigmoid and tanh: argument reduction by powers of two and the polynomials of the Cephes library (Moshier),
// within 4 units in the last place of the exact value; tests/native/test_math.py holds them to that.

namespace TEXTNN_ISA {

constexpr int kVectorBytes = TEXTNN_VECTOR_BYTES;

template <class T>
struct Lanes {
  static constexpr int64_t value = kVectorBytes / int64_t(sizeof(T));
  typedef T vector __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vec = typename Lanes<T>::vector;
template <class T>
constexpr int64_t kLanes = Lanes<T>::value;

// The signed integer type of T's size, and vectors of it: comparison masks, positions, bit patterns.
template <class T>
using Int = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
template <class T>
using IVec = Vec<Int<T>>;

template <class T>
[[gnu::always_inline]] inline Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, const Vec<T>& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// The first n lanes; the others are zero, and memory behind the n-th element is not touched.
template <class T>
[[gnu::always_inline]] inline Vec<T> load(const T* p, int64_t n) {
  if (n >= kLanes<T>) return load(p);
  Vec<T> v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, const Vec<T>& v, int64_t n) {
  if (n >= kLanes<T>) return store(p, v);
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

template <class T>
[[gnu::always_inline]] inline Vec<T> broadcast(T x) {
  return x - Vec<T>{};
}

template <class T>
struct VectorMath {
  using V = Vec<T>;
  using IV = IVec<T>;

  static inline IV bits(const V& v) {
    IV i;
    __builtin_memcpy(&i, &v, sizeof i);
    return i;
  }
  static inline V from_bits(const IV& i) {
    V v;
    __builtin_memcpy(&v, &i, sizeof v);
    return v;
  }

  // e^x for |x| <= 88 (float), 708 (double); beyond that the value at the bound, and NaN for NaN.
  static inline V exp(V x) {
    constexpr bool single = sizeof(T) == 4;
    constexpr T bound = single ? T(88.0) : T(708.0);
    x = x > bound ? broadcast<T>(bound) : x;
    x = x < -bound ? broadcast<T>(-bound) : x;
    constexpr T log2e = T(1.44269504088896340736);
    constexpr T magic =
        single ? T(12582912.0) : T(6755399441055744.0);  // 1.5 * 2^(mantissa bits): rounds to an integer
    const V shifted = x * log2e + magic;
    const V n = shifted - magic;
    const IV scale = (bits(shifted) + (single ? 127 : 1023)) << (single ? 23 : 52);
    V y;
    if constexpr (single) {
      const V r = (x - n * T(0.693359375)) - n * T(-2.12194440e-4);
      V p = r * T(1.9875691500e-4) + T(1.3981999507e-3);
      p = p * r + T(8.3334519073e-3);
      p = p * r + T(4.1665795894e-2);
      p = p * r + T(1.6666665459e-1);
      p = p * r + T(5.0000001201e-1);
      y = p * (r * r) + r + 1;
    } else {
      const V r = (x - n * T(6.93145751953125e-1)) - n * T(1.42860682030941723212e-6);
      const V s = r * r;
      V p = s * T(1.26177193074810590878e-4) + T(3.02994407707441961300e-2);
      p = r * (p * s + T(9.99999999999999999910e-1));
      V q = s * T(3.00198505138664455042e-6) + T(2.52448340349684104192e-3);
      q = q * s + T(2.27265548208155028766e-1);
      q = q * s + T(2.00000000000000000009);
      y = 1 + 2 * (p / (q - p));
    }
    return y * from_bits(scale);
  }

  static inline V sigmoid(const V& x) { return 1 / (1 + exp(-x)); }

  static inline V tanh(const V& x) {
    constexpr bool single = sizeof(T) == 4;
    const V s = x * x;
    V small;  // |x| < 0.625: an odd polynomial, or a rational function
    if constexpr (single) {
      V p = s * T(-5.70498872745e-3) + T(2.06390887954e-2);
      p = p * s + T(-5.37397155531e-2);
      p = p * s + T(1.33314422036e-1);
      p = p * s + T(-3.33332819422e-1);
      small = p * s * x + x;
    } else {
      V p = s * T(-9.64399179425052238628e-1) + T(-9.92877231001918586564e1);
      p = p * s + T(-1.61468768441708447952e3);
      V q = s + T(1.12811678491632931402e2);
      q = q * s + T(2.23548839060100448583e3);
      q = q * s + T(4.84406305325125486048e3);
      small = p / q * s * x + x;
    }
    const V a = x < 0 ? -x : x;
    const V large = 1 - 2 / (exp(2 * a) + 1);
    return a < T(0.625) ? small : (x < 0 ? -large : large);
  }

  static inline V relu(const V& x) { return x <= 0 ? V{} : x; }  // NaN stays NaN, as in torch.relu
};

}  // namespace TEXTNN_ISA
