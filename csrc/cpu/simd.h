// Vectors of T and the functions on them that the kernels need, for one instruction set (included by kernel sources
// through foreach_isa.h; no include guard). GCC/clang vector extensions, so one source serves every set.
//
// exp, sigmoid and tanh: argument reduction by powers of two and the polynomials of the Cephes library (Moshier),
// within 4 units in the last place of the exact value; tests/native/test_math.py holds them to that.

// Masked loads and stores of AVX-512; the address sanitizer does not see them, so its build goes element by element.
#undef TEXTNN_MASKED_MEMORY
#if TEXTNN_VECTOR_BYTES == 64 && !defined(__SANITIZE_ADDRESS__)
#define TEXTNN_MASKED_MEMORY 1
#else
#define TEXTNN_MASKED_MEMORY 0
#endif

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
#if TEXTNN_MASKED_MEMORY
  if constexpr (sizeof(T) == 4) return __builtin_ia32_loadups512_mask(p, Vec<T>{}, uint16_t((1u << n) - 1));
  if constexpr (sizeof(T) == 8) return __builtin_ia32_loadupd512_mask(p, Vec<T>{}, uint8_t((1u << n) - 1));
#endif
  Vec<T> v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, const Vec<T>& v, int64_t n) {
  if (n >= kLanes<T>) return store(p, v);
#if TEXTNN_MASKED_MEMORY
  if constexpr (sizeof(T) == 4) return __builtin_ia32_storeups512_mask(p, v, uint16_t((1u << n) - 1));
  if constexpr (sizeof(T) == 8) return __builtin_ia32_storeupd512_mask(p, v, uint8_t((1u << n) - 1));
#endif
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// a[0] b[0] a[1] b[1] ... of the lower (Half = 0) or the upper (1) halves.
template <class T, int Half, size_t... I>
[[gnu::always_inline]] inline Vec<T> zip(const Vec<T>& a, const Vec<T>& b, std::index_sequence<I...>) {
  constexpr int64_t L = kLanes<T>;
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (int(I) / 2 + Half * L / 2 + int(I) % 2 * L)...);
#else
  return __builtin_shuffle(a, b, IVec<T>{Int<T>(int(I) / 2 + Half * L / 2 + int(I) % 2 * L)...});
#endif
}

// Transposes a square of vectors in registers: log2(L) rounds of zipping the first half with the second.
template <class T>
[[gnu::always_inline]] inline void transpose_square(Vec<T> (&v)[kLanes<T>]) {
  constexpr int64_t L = kLanes<T>;
  constexpr auto lanes = std::make_index_sequence<size_t(L)>();
  for (int64_t round = 1; round < L; round *= 2) {
    Vec<T> z[L];
    for (int64_t i = 0; i < L / 2; ++i) {
      z[2 * i] = zip<T, 0>(v[i], v[i + L / 2], lanes);
      z[2 * i + 1] = zip<T, 1>(v[i], v[i + L / 2], lanes);
    }
    for (int64_t i = 0; i < L; ++i) v[i] = z[i];
  }
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

  static inline V clamp(const V& x, T low, T high) {  // NaN stays NaN
    const V y = x > high ? broadcast<T>(high) : x;
    return y < low ? broadcast<T>(low) : y;
  }

  // a / b for b in [1, 2^126]. In AVX-512 an estimate of 14 bits, corrected by its residual, is four times as
  // fast as the division of 16 floats.
  static inline V divide(const V& a, const V& b) {
#if TEXTNN_VECTOR_BYTES == 64
    if constexpr (sizeof(T) == 4) {
      const V r = __builtin_ia32_rcp14ps512_mask(b, V{}, uint16_t(-1)), q = a * r;
      return q + r * (a - q * b);
    }
#endif
    return a / b;
  }

  // e^x = scale * (1 + fraction), scale a power of two, for |x| <= kBound.
  static constexpr T kBound = sizeof(T) == 4 ? T(87.0) : T(708.0);
  struct Exponential {
    V scale, fraction;
  };
  static inline Exponential exponential(const V& x) {
    constexpr bool single = sizeof(T) == 4;
    constexpr T log2e = T(1.44269504088896340736);
    constexpr T magic =
        single ? T(12582912.0) : T(6755399441055744.0);  // 1.5 * 2^(mantissa bits): rounds to an integer
    const V shifted = x * log2e + magic;
    const V n = shifted - magic;
    using Unsigned = std::make_unsigned_t<Int<T>>;  // the bits of a NaN may be any
    const auto exponent = Vec<Unsigned>(bits(shifted)) + Unsigned(single ? 127 : 1023);
    const V scale = from_bits(IV(exponent << (single ? 23 : 52)));
    if constexpr (single) {
      const V r = (x - n * T(0.693359375)) - n * T(-2.12194440e-4);
      V p = r * T(1.9875691500e-4) + T(1.3981999507e-3);
      p = p * r + T(8.3334519073e-3);
      p = p * r + T(4.1665795894e-2);
      p = p * r + T(1.6666665459e-1);
      p = p * r + T(5.0000001201e-1);
      return {scale, p * (r * r) + r};
    } else {
      const V r = (x - n * T(6.93145751953125e-1)) - n * T(1.42860682030941723212e-6);
      const V s = r * r;
      V p = s * T(1.26177193074810590878e-4) + T(3.02994407707441961300e-2);
      p = r * (p * s + T(9.99999999999999999910e-1));
      V q = s * T(3.00198505138664455042e-6) + T(2.52448340349684104192e-3);
      q = q * s + T(2.27265548208155028766e-1);
      q = q * s + T(2.00000000000000000009);
      return {scale, 2 * (p / (q - p))};
    }
  }

  // Beyond kBound the value at the bound.
  static inline V exp(const V& x) {
    const Exponential e = exponential(clamp(x, -kBound, kBound));
    return (1 + e.fraction) * e.scale;
  }

  static inline V sigmoid(const V& x) { return divide(broadcast<T>(1), 1 + exp(-x)); }

  // (e^2a - 1) / (e^2a + 1) with a = |x|; e^2a - 1 is put together from its parts, so that nothing cancels near zero.
  static inline V tanh(const V& x) {
    const IV sign = bits(x) & bits(broadcast<T>(T(-0.0)));
    const V a2 = 2 * from_bits(bits(x) ^ sign);
    const Exponential e = exponential(a2 > T(40) ? broadcast<T>(40) : a2);
    const V t = e.scale * e.fraction + (e.scale - 1);
    return from_bits(bits(divide(t, t + 2)) | sign);
  }

  static inline V relu(const V& x) { return x <= 0 ? V{} : x; }  // NaN stays NaN, as in torch.relu
};

// e^x, and zero where that is about as small as the smallest normal number or smaller.
template <class T>
[[gnu::always_inline]] inline Vec<T> exp_or_zero(const Vec<T>& x) {
  const Vec<T> e = VectorMath<T>::exp(x);
  return x < -VectorMath<T>::kBound ? Vec<T>{} : e;
}

}  // namespace TEXTNN_ISA
