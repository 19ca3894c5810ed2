// Reading and writing elements (element.h) as what kernels compute in; vectors of 16 bytes where the address allows.
#pragma once
#include <cstring>
#include "launch.h"

namespace textnn::cuda {

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ double load(const double* p) { return *p; }
// Bits are copied: the names of the halves and CUDA's types are different types, which a compiler may take for
// different memory.
__device__ __forceinline__ float load(const Float16* p) {
  const uint16_t bits = p->bits;
  __half h;
  memcpy(&h, &bits, sizeof h);
  return __half2float(h);
}
__device__ __forceinline__ float load(const BFloat16* p) {
  const uint16_t bits = p->bits;
  __nv_bfloat16 h;
  memcpy(&h, &bits, sizeof h);
  return __bfloat162float(h);
}
__device__ __forceinline__ void store(float* p, float v) { *p = v; }
__device__ __forceinline__ void store(double* p, double v) { *p = v; }
__device__ __forceinline__ void store(Float16* p, float v) {
  const __half h = __float2half_rn(v);
  uint16_t bits;
  memcpy(&bits, &h, sizeof h);
  p->bits = bits;
}
__device__ __forceinline__ void store(BFloat16* p, float v) {
  const __nv_bfloat16 h = __float2bfloat16_rn(v);
  uint16_t bits;
  memcpy(&bits, &h, sizeof h);
  p->bits = bits;
}

// 16 bytes of elements that are loaded and stored at once.
template <class E>
struct alignas(16) Vector {
  static constexpr int kSize = 16 / int(sizeof(E));
  E element[kSize];
};
template <class E>
__device__ __forceinline__ Vector<E> load_vector(const E* p) {
  return *reinterpret_cast<const Vector<E>*>(p);
}
template <class E>
__device__ __forceinline__ void store_vector(E* p, const Vector<E>& v) {
  *reinterpret_cast<Vector<E>*>(p) = v;
}
// N elements at p, one or a vector's, as what is computed in.
template <int N, class E>
__device__ __forceinline__ void load_some(const E* p, Compute<E> (&to)[N]) {
  if constexpr (N == 1) {
    to[0] = load(p);
  } else {
    static_assert(N == Vector<E>::kSize, "one element or a vector");
    const Vector<E> v = load_vector(p);
#pragma unroll
    for (int i = 0; i < N; ++i) to[i] = load(&v.element[i]);
  }
}
template <int N, class E>
__device__ __forceinline__ void store_some(E* p, const Compute<E> (&from)[N]) {
  if constexpr (N == 1) {
    store(p, from[0]);
  } else {
    static_assert(N == Vector<E>::kSize, "one element or a vector");
    Vector<E> v;
#pragma unroll
    for (int i = 0; i < N; ++i) store(&v.element[i], from[i]);
    store_vector(p, v);
  }
}

// Whether rows of n elements, one behind the other from each of these pointers on, may be taken as vectors.
template <class E, class... P>
inline bool vectors_fit(int64_t n, const E* p, const P*... more) {
  const bool here = n % Vector<E>::kSize == 0 && reinterpret_cast<uintptr_t>(p) % 16 == 0;
  if constexpr (sizeof...(P) == 0)
    return here;
  else
    return here && vectors_fit(n, more...);
}

}  // namespace textnn::cuda
