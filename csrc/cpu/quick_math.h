// Activations for results whose sums have been made of bfloat16, for AVX-512 (included through foreach_isa.h). With
// products at twice the rate of float32 those of simd.h would take a quarter of the time.
//
// Within a relative error of 2^-13, where a factor of 8 bits has one of 2^-8: an instruction's own estimate of the
// quotient (2^-14), and 2^x = 2^n (1 + f q(f)) with a q of third degree that is nearest to (2^f - 1) / f in its largest
// relative error, 2^-16, for -1/2 <= f <= 1/2.

namespace TEXTNN_ISA {

struct QuickMath {
  using V = Vec<float>;
  // All lanes: GCC warns of the others, which the forms without a mask leave undefined.
  static constexpr __mmask16 kAll = 0xffff;

  struct Power {  // n and 2^f - 1 with n + f = x
    V n, fraction;
  };
  [[gnu::always_inline]] static inline Power power(const V& x) {
    const V n = (V)_mm512_maskz_roundscale_ps(kAll, (__m512)x, 0),
            f = (V)_mm512_maskz_reduce_ps(kAll, (__m512)x, 0);  // infinity: 0
    V q = f * 0.00961811f + 0.05583729f;
    q = q * f + 0.24023252f;
    q = q * f + 0.69313686f;
    return {n, f * q};
  }
  [[gnu::always_inline]] static inline V times_power_of_two(const V& x, const V& n) {
    return (V)_mm512_maskz_scalef_ps(kAll, (__m512)x, (__m512)n);  // 0 or infinity beyond the range
  }
  [[gnu::always_inline]] static inline V reciprocal(const V& x) { return (V)_mm512_maskz_rcp14_ps(kAll, (__m512)x); }

  [[gnu::always_inline]] static inline V least(const V& x, float bound) {  // NaN stays NaN
    return (V)_mm512_maskz_min_ps(kAll, (__m512)(V{} + bound), (__m512)x);
  }

  static inline V sigmoid(const V& x) {
    const Power p = power(x * -1.44269504f);
    return reciprocal(1 + times_power_of_two(1 + p.fraction, p.n));
  }
  // t / (t + 2) with t = e^2x - 1, put together so that nothing cancels near zero.
  static inline V tanh(const V& x) {
    const Power p = power(least(x, 20) * 2.88539008f);
    const V scale = times_power_of_two(V{} + 1, p.n), t = scale * p.fraction + (scale - 1);
    return least(t * reciprocal(t + 2), 1);  // where the estimate is above the quotient
  }
  static inline V relu(const V& x) { return VectorMath<float>::relu(x); }
};

}  // namespace TEXTNN_ISA
