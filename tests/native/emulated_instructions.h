// The instructions of avx512_bf16, amx_bf16, AVX-512 VNNI and AVX-VNNI in plain C++, so that their kernels run in the
// tests of any x86 CPU. Included before everything else in the flavour "emulated" (build.py), in which these sets are
// compiled for the baseline.
//
// Rounding is that of the instructions: to the nearest even, subnormal numbers zero; each of the two products of a lane
// is added without being rounded first (a fused multiply-add), the upper one first.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace textnn_emulated {

typedef float Floats __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
typedef uint32_t Pairs __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef int32_t HalfInts __attribute__((vector_size(32)));

inline uint32_t bits(float x) {
  uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}
inline float value(uint32_t b) {
  float x;
  std::memcpy(&x, &b, sizeof x);
  return x;
}
inline float without_subnormals(float x) { return bits(x) & 0x7f800000u ? x : value(bits(x) & 0x80000000u); }

inline Halves cvtneps_pbh(const Floats& x) {
  Halves h{};
  for (int i = 0; i < 16; ++i) {
    const uint32_t b = bits(without_subnormals(x[i]));
    h[i] = uint16_t((x[i] == x[i] ? b + 0x7fffu + (b >> 16 & 1u) : b | 0x400000u) >> 16);
  }
  return h;
}

inline Floats dpbf16_ps(const Floats& sum, const Pairs& a, const Pairs& b) {
  Floats result = sum;
  for (int i = 0; i < 16; ++i)
    for (const uint32_t mask : {0xffff0000u, 0x0000ffffu}) {  // the upper factors first
      const int up = mask == 0x0000ffffu ? 16 : 0;
      const float x = without_subnormals(value((a[i] & mask) << up)),
                  y = without_subnormals(value((b[i] & mask) << up));
      result[i] = without_subnormals(std::fma(x, y, without_subnormals(result[i])));
    }
  return result;
}

// sum + four bytes without a sign times four with one, in each lane; all of it wraps round.
template <class V>
inline V dpbusd(const V& sum, const V& a, const V& b) {
  V result = sum;
  for (size_t i = 0; i < sizeof(V) / sizeof(int32_t); ++i) {
    uint32_t added = uint32_t(result[i]);
    for (int q = 0; q < 4; ++q) added += uint32_t(int32_t(uint8_t(a[i] >> 8 * q)) * int32_t(int8_t(b[i] >> 8 * q)));
    result[i] = int32_t(added);
  }
  return result;
}

template <class F>
inline Floats each(const Floats& x, F&& f) {
  Floats result{};
  for (int i = 0; i < 16; ++i) result[i] = f(x[i]);
  return result;
}
inline Floats roundscale_ps(const Floats& x) {
  return each(x, [](float v) { return std::nearbyint(v); });
}
inline Floats reduce_ps(const Floats& x) {
  return each(x, [](float v) { return std::isinf(v) ? 0.0f : v - std::nearbyint(v); });
}
inline Floats min_ps(const Floats& a, const Floats& b) {
  Floats result{};
  for (int i = 0; i < 16; ++i) result[i] = a[i] < b[i] ? a[i] : b[i];
  return result;
}
inline Floats rcp14_ps(const Floats& x) {  // which leaves 14 bits
  return each(x, [](float v) { return value(bits(1 / v) & 0xfffffe00u); });
}
inline Floats scalef_ps(const Floats& x, const Floats& n) {
  Floats result{};
  for (int i = 0; i < 16; ++i) {
    const float bounded = std::fmax(-999.0f, std::fmin(999.0f, n[i]));
    result[i] = n[i] == n[i] ? without_subnormals(std::ldexp(x[i], int(bounded))) : n[i];
  }
  return result;
}

// The first n of 16 floats; those of a load that do not count are zero.
inline Floats load(const float* from, uint16_t mask) {
  Floats x{};
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) x[i] = from[i];
  return x;
}
inline void store(float* to, const Floats& x, uint16_t mask) {
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) to[i] = x[i];
}

}  // namespace textnn_emulated

#define TEXTNN_EMULATED_INSTRUCTIONS 1
// The vectors of the kernels and of the intrinsics have the same size and other types: casts of the calls are dropped.
#define __m512 textnn_emulated::Floats
#define __m512bh textnn_emulated::Pairs
#define __m512i textnn_emulated::Ints
#define __m256i textnn_emulated::HalfInts
#define _mm512_dpbusd_epi32(sum, a, b) textnn_emulated::dpbusd(sum, a, b)
#define _mm256_dpbusd_avx_epi32(sum, a, b) textnn_emulated::dpbusd(sum, a, b)
#define _mm512_cvtneps_pbh(x) textnn_emulated::cvtneps_pbh(x)
#define _mm512_dpbf16_ps(sum, a, b) textnn_emulated::dpbf16_ps(sum, a, b)
#define _mm512_maskz_roundscale_ps(all, x, how) textnn_emulated::roundscale_ps(x)
#define _mm512_maskz_reduce_ps(all, x, how) textnn_emulated::reduce_ps(x)
#define _mm512_maskz_min_ps(all, a, b) textnn_emulated::min_ps(a, b)
#define _mm512_maskz_rcp14_ps(all, x) textnn_emulated::rcp14_ps(x)
#define _mm512_maskz_scalef_ps(all, x, n) textnn_emulated::scalef_ps(x, n)
#define __builtin_ia32_loadups512_mask(from, zero, mask) textnn_emulated::load(from, mask)
#define __builtin_ia32_storeups512_mask(to, x, mask) textnn_emulated::store(to, x, mask)
#define __builtin_ia32_rcp14ps512_mask(x, zero, mask) textnn_emulated::rcp14_ps(x)

#include "emulated_tiles.h"
#endif
