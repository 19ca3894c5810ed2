// Tensor cores: matrix fragments of a warp (nvcuda::wmma) for the types that this project multiplies in them, always
// with sums in float32.
//
//   Fragments<E>::A   [16, kK] of rows            Fragments<E>::B   [kK, 16] of columns, each contiguous
//   Fragments<E>::Sum [16, 16]
//
// Matrices in shared memory begin at multiples of 32 bytes and have rows of a multiple of 16 bytes. float16 needs the
// capability 7.0, bfloat16 and TF32 need 8.0; where an architecture lacks them, Fragments<E>::kExist is false.
#pragma once
#include "storage.h"
#if defined(__CUDACC__)
#include <mma.h>
#else
#include "wmma.h"
#endif

namespace textnn::cuda {

template <class E>
struct Fragments {
  static constexpr bool kExist = false;
};

template <class Operand, class Stored_, int K>
struct FragmentsOf {
  static constexpr bool kExist = true;
  static constexpr int kK = K;
  using Stored = Stored_;
  using A = nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, K, Operand, nvcuda::wmma::row_major>;
  using B = nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, K, Operand, nvcuda::wmma::col_major>;
  using Sum = nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, K, float>;
};
template <>
struct Fragments<Float16> : FragmentsOf<__half, __half, 16> {};
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
template <>
struct Fragments<BFloat16> : FragmentsOf<__nv_bfloat16, __nv_bfloat16, 16> {};
template <>
struct Fragments<float> : FragmentsOf<nvcuda::wmma::precision::tf32, float, 8> {};
#endif

// A fragment from elements in memory, whose rows (of A) or columns (of B) are `stride` elements apart.
template <class E, class F>
__device__ __forceinline__ void load_fragment(F& fragment, const E* from, int stride) {
  nvcuda::wmma::load_matrix_sync(fragment, reinterpret_cast<const typename Fragments<E>::Stored*>(from),
                                 unsigned(stride));
}

// What a tensor core is to see of an element: float32 rounded to TF32, of which it would else cut the last bits off.
template <class E>
__device__ __forceinline__ E fragment_element(E v) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  if constexpr (sizeof(E) == 4) return nvcuda::wmma::__float_to_tf32(v);
#endif
  return v;
}

// Whether the current device's tensor cores take elements of type E, and the kernels were compiled for them.
template <class E>
inline bool has_fragments() {
  if (sizeof(E) == 8) return false;
  int device = 0, major = 0;
  check(cudaGetDevice(&device), "a query of the device");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "a query of the device");
  return std::min(10 * major, compiled_architecture()) >= (std::is_same_v<E, Float16> ? 70 : 80);
}

}  // namespace textnn::cuda
