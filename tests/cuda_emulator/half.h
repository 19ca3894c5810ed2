// __half and __nv_bfloat16: two bytes and conversions, without arithmetic, as the CUDA headers give them when their
// operators and implicit conversions are turned off (which PyTorch does).
#pragma once
#include <cstdint>
#include <cstring>
#include "vector_types.h"

namespace cuemu {

inline uint32_t float_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float bits_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// To nearest, ties to even; from 65520 on to infinity; any NaN to 0x7FFF, as on a GPU.
inline uint16_t half_bits(float value) {
  const uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fff;
  if (magnitude >= 0x47800000) return uint16_t(sign | 0x7c00);  // 2^16 and more
  // Exponent and mantissa as one integer; a half keeps all but the last `shift` bits of it.
  uint32_t mantissa = magnitude, shift = 13, rebias = (127 - 15) << 10;
  if (magnitude < 0x38800000) {  // below 2^-14: a subnormal half, in units of 2^-24
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return uint16_t(sign);  // below 2^-25
    mantissa = (magnitude & 0x7fffff) | 0x800000;
    shift = 126 - exponent;
    rebias = 0;
  }
  const uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), tie = 1u << (shift - 1);
  const bool up = rest > tie || (rest == tie && (kept & 1));
  return uint16_t(sign | (kept + up - rebias));  // a carry runs into the exponent, up to infinity
}
inline float half_float(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
  if (exponent == 31) return bits_float(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) return bits_float(sign | float_bits(float(mantissa) * 0x1p-24f));
  return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
}
inline uint16_t bfloat16_bits(float value) {
  const uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float bfloat16_float(uint16_t bfloat16) { return bits_float(uint32_t(bfloat16) << 16); }

}  // namespace cuemu

// The constructors without arguments are constant expressions: a defaulted one would make g++ give every shared array
// of halves a variable that says whether it has been constructed.
struct __half {
  uint16_t __x;
  constexpr __half() : __x(0) {}
  explicit __half(float value) : __x(cuemu::half_bits(value)) {}
  explicit operator float() const { return cuemu::half_float(__x); }
};
struct __nv_bfloat16 {
  uint16_t __x;
  constexpr __nv_bfloat16() : __x(0) {}
  explicit __nv_bfloat16(float value) : __x(cuemu::bfloat16_bits(value)) {}
  explicit operator float() const { return cuemu::bfloat16_float(__x); }
};
struct alignas(4) __half2 {
  __half x, y;
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};
using half = __half;
using half2 = __half2;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

namespace cuemu {
template <class T>
constexpr bool is_half_type = false;
template <>
inline constexpr bool is_half_type<__half> = true;
template <>
inline constexpr bool is_half_type<__nv_bfloat16> = true;
}  // namespace cuemu

inline __half __float2half(float value) { return __half(value); }
inline __half __float2half_rn(float value) { return __half(value); }
inline float __half2float(__half value) { return float(value); }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
inline float __bfloat162float(__nv_bfloat16 value) { return float(value); }

inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline __half2 __float22half2_rn(float2 value) { return __floats2half2_rn(value.x, value.y); }
inline float2 __half22float2(__half2 value) { return {float(value.x), float(value.y)}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 value) { return __floats2bfloat162_rn(value.x, value.y); }
inline float2 __bfloat1622float2(__nv_bfloat162 value) { return {float(value.x), float(value.y)}; }

inline unsigned short __half_as_ushort(__half value) { return value.__x; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.__x; }
inline __half __ushort_as_half(unsigned short bits) {
  __half value;
  value.__x = bits;
  return value;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  __nv_bfloat16 value;
  value.__x = bits;
  return value;
}
