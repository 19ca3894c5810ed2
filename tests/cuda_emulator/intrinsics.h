// Atomics, fences, cache hints, bits and the fast mathematics. The fast functions are as exact as the C library's here;
// their error on a GPU is not emulated.
#pragma once
#include <type_traits>
#include "execution.h"

namespace cuemu {

// In the kernels' units of a race-detecting build this function alone is not instrumented: it tells of the access
// itself.
template <class T, class F>
__attribute__((no_sanitize("thread"), noinline)) T read_modify_write(T* p, F change) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomics take values of 32 or 64 bits");
  note_atomic(const_cast<std::remove_volatile_t<T>*>(p), sizeof(T));
  std::remove_volatile_t<T> before, after;
  __atomic_load(p, &before, __ATOMIC_SEQ_CST);
  do {
    after = change(before);
  } while (!__atomic_compare_exchange(p, &before, &after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  return before;
}

// The parameter in which another does not take part in deducing T.
template <class T>
using Same = std::common_type_t<T>;

template <class T>
constexpr bool atomic_adds =
    std::is_same<T, int>::value || std::is_same<T, unsigned>::value || std::is_same<T, unsigned long long>::value ||
    std::is_same<T, float>::value || std::is_same<T, double>::value;
template <class T>
constexpr bool atomic_orders = std::is_same<T, int>::value || std::is_same<T, unsigned>::value ||
                               std::is_same<T, long long>::value || std::is_same<T, unsigned long long>::value;

}  // namespace cuemu

template <class T>
T atomicAdd(T* p, cuemu::Same<T> value) {
  static_assert(cuemu::atomic_adds<T>, "atomicAdd takes int, unsigned, unsigned long long, float, double");
  return cuemu::read_modify_write(p, [=](T old) {
    // Integers wrap around.
    if constexpr (std::is_integral<T>::value)
      return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(value));
    else
      return old + value;
  });
}
template <class T>
T atomicSub(T* p, cuemu::Same<T> value) {
  static_assert(std::is_same<T, int>::value || std::is_same<T, unsigned>::value, "atomicSub takes int, unsigned");
  return cuemu::read_modify_write(p, [=](T old) { return T(unsigned(old) - unsigned(value)); });
}
template <class T>
T atomicMax(T* p, cuemu::Same<T> value) {
  static_assert(cuemu::atomic_orders<T>, "atomicMax takes integers of 32 and 64 bits");
  return cuemu::read_modify_write(p, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* p, cuemu::Same<T> value) {
  static_assert(cuemu::atomic_orders<T>, "atomicMin takes integers of 32 and 64 bits");
  return cuemu::read_modify_write(p, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicAnd(T* p, cuemu::Same<T> value) {
  static_assert(cuemu::atomic_orders<T>, "atomicAnd takes integers of 32 and 64 bits");
  return cuemu::read_modify_write(p, [=](T old) { return old & value; });
}
template <class T>
T atomicOr(T* p, cuemu::Same<T> value) {
  static_assert(cuemu::atomic_orders<T>, "atomicOr takes integers of 32 and 64 bits");
  return cuemu::read_modify_write(p, [=](T old) { return old | value; });
}
template <class T>
T atomicExch(T* p, cuemu::Same<T> value) {
  return cuemu::read_modify_write(p, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* p, cuemu::Same<T> expected, cuemu::Same<T> value) {
  static_assert(std::is_integral<T>::value, "atomicCAS takes integers of 32 and 64 bits");
  return cuemu::read_modify_write(p, [=](T old) { return old == expected ? value : old; });
}
inline unsigned atomicInc(unsigned* p, unsigned last) {
  return cuemu::read_modify_write(p, [=](unsigned old) { return old >= last ? 0 : old + 1; });
}

inline void __threadfence() { cuemu::fence(); }
inline void __threadfence_system() { cuemu::fence(); }
inline void __threadfence_block() { __asm__ volatile("" ::: "memory"); }
inline void __nanosleep(unsigned) { cuemu::yield(); }
inline long long clock64() { return static_cast<long long>(__builtin_ia32_rdtsc()); }

template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldca(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcg(T* p, cuemu::Same<T> value) {
  *p = value;
}
template <class T>
void __stcs(T* p, cuemu::Same<T> value) {
  *p = value;
}

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return float(1.0 / sqrt(double(x))); }
inline float rsqrtf(float x) { return __frsqrt_rn(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

namespace cuemu {
template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "only between types of one size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace cuemu

inline int __float_as_int(float x) { return cuemu::same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return cuemu::same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return cuemu::same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return cuemu::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return cuemu::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cuemu::same_bits<double>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }

template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) ? T(b) : T(a);
}
