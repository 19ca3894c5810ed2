// nvcuda::wmma: matrix products of a warp on tensor cores.
//
//   a [M, K], b [K, N] row_major or col_major         c, d [M, N] accumulators
//   __half, __nv_bfloat16   16 x 16 x 16, 32 x 8 x 16, 8 x 32 x 16      float accumulators
//   precision::tf32         16 x 16 x 8                                 float
//   double                  8 x 8 x 4                                   double
//
// Elements are spread over the lanes, as on a GPU but in another order (there it is unspecified): a kernel that depends
// on the order, or in which a lane is missing, fails here too. Loads and stores are made by each lane for its own
// elements, so that the race detector sees them, and like those of a GPU they wait for the warp but do not order
// memory: between lanes' own stores and a load_matrix_sync there must be a __syncwarp.
#pragma once
#include <type_traits>
#include "execution.h"
#include "half.h"

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };

// To the ten bits of mantissa that the hardware reads; to nearest, ties away from zero.
inline float __float_to_tf32(float value) {
  uint32_t bits = cuemu::float_bits(value);
  if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & ~0x1fffu;
  return cuemu::bits_float(bits);
}

namespace emulated {

template <class T>
struct Element {
  using Stored = T;
};
template <>
struct Element<precision::tf32> {
  using Stored = float;
};

// What the multipliers see of an operand.
template <class T, class Stored>
inline auto operand(Stored value) {
  if constexpr (std::is_same_v<T, double>)
    return value;
  else if constexpr (std::is_same_v<T, precision::tf32>)
    return cuemu::bits_float(cuemu::float_bits(value) & ~0x1fffu);  // the low bits are ignored
  else
    return float(value);
}

template <class T, int M, int N, int K>
constexpr bool supported() {
  if (std::is_same_v<T, double>) return M == 8 && N == 8 && K == 4;
  if (std::is_same_v<T, precision::tf32>) return M == 16 && N == 16 && K == 8;
  if (cuemu::is_half_type<T>) return K == 16 && ((M == 16 && N == 16) || (M == 32 && N == 8) || (M == 8 && N == 32));
  return std::is_same_v<T, float>;  // accumulators, in the company of the above
}

// Waits for the warp; nothing is exchanged and memory is not ordered.
inline void meet(cuemu::Where where) {
  cuemu::warp_collective(~0u, nullptr, [](void* const*, unsigned) {}, where);
}

inline void check_address(const void* p, size_t row_bytes, cuemu::Where where) {
  if (uintptr_t(p) % 32) cuemu::fail_thread("wmma: the matrix does not begin at a multiple of 32 bytes", where);
  if (row_bytes % 16) cuemu::fail_thread("wmma: the leading dimension is not a multiple of 16 bytes", where);
}

}  // namespace emulated

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
  static_assert(emulated::supported<T, M, N, K>(), "no tensor core has this shape for this type");
  using element_type = T;
  using storage_element_type = typename emulated::Element<T>::Stored;
  static constexpr int rows = std::is_same_v<Use, matrix_b> ? K : M, cols = std::is_same_v<Use, matrix_a> ? K : N;
  static constexpr int num_elements = rows * cols / 32, num_storage_elements = num_elements;
  static constexpr bool by_columns = std::is_same_v<Layout, col_major>;
  storage_element_type x[num_elements];

  fragment() { std::memset(static_cast<void*>(x), 0xff, sizeof x); }  // what is not set is NaN

  // The place of this lane's element e in a matrix in memory.
  static size_t place(int e, size_t ld, bool columns) {
    const size_t i = cuemu::current->lane() * num_elements + unsigned(e), row = i / cols, col = i % cols;
    return columns ? col * ld + row : row * ld + col;
  }
};

template <class Use, int M, int N, int K, class T, class Layout, class V>
void fill_fragment(fragment<Use, M, N, K, T, Layout>& f, const V& value) {
  for (auto& e : f.x) e = static_cast<std::decay_t<decltype(e)>>(value);
}

template <class Use, int M, int N, int K, class T, class Layout>
void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const typename emulated::Element<T>::Stored* p, unsigned ld,
                      cuemu::Where where = cuemu::Where::here()) {
  static_assert(!std::is_same_v<Layout, void>, "a fragment without a layout is loaded with a layout_t");
  emulated::meet(where);
  emulated::check_address(p, ld * sizeof *p, where);
  for (int e = 0; e < f.num_elements; ++e) f.x[e] = p[f.place(e, ld, f.by_columns)];
}
template <int M, int N, int K, class T>
void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* p, unsigned ld, layout_t layout,
                      cuemu::Where where = cuemu::Where::here()) {
  emulated::meet(where);
  emulated::check_address(p, ld * sizeof *p, where);
  for (int e = 0; e < f.num_elements; ++e) f.x[e] = p[f.place(e, ld, layout == mem_col_major)];
}
template <int M, int N, int K, class T>
void store_matrix_sync(T* p, const fragment<accumulator, M, N, K, T>& f, unsigned ld, layout_t layout,
                       cuemu::Where where = cuemu::Where::here()) {
  emulated::meet(where);
  emulated::check_address(p, ld * sizeof *p, where);
  for (int e = 0; e < f.num_elements; ++e) p[f.place(e, ld, layout == mem_col_major)] = f.x[e];
}

// d = a b + c, summed over k in rising order in the accumulators' type.
template <int M, int N, int K, class T, class LA, class LB, class S>
void mma_sync(fragment<accumulator, M, N, K, S>& d, const fragment<matrix_a, M, N, K, T, LA>& a,
              const fragment<matrix_b, M, N, K, T, LB>& b, const fragment<accumulator, M, N, K, S>& c,
              cuemu::Where where = cuemu::Where::here()) {
  static_assert(std::is_same_v<S, std::conditional_t<std::is_same_v<T, double>, double, float>>,
                "accumulators are double for double, else float");
  using A = fragment<matrix_a, M, N, K, T, LA>;
  using B = fragment<matrix_b, M, N, K, T, LB>;
  using C = fragment<accumulator, M, N, K, S>;
  struct Mine {
    C* d;
    const A* a;
    const B* b;
    const C* c;
  } mine{&d, &a, &b, &c};
  const auto serve = [](void* const* lanes, unsigned) {
    const auto lane = [&](int l) { return *static_cast<const Mine*>(lanes[l]); };
    S all_a[M * K], all_b[K * N], sum[M * N];
    for (int i = 0; i < M * K; ++i)
      all_a[i] = emulated::operand<T>(lane(i / A::num_elements).a->x[i % A::num_elements]);
    for (int i = 0; i < K * N; ++i)
      all_b[i] = emulated::operand<T>(lane(i / B::num_elements).b->x[i % B::num_elements]);
    for (int i = 0; i < M * N; ++i) sum[i] = lane(i / C::num_elements).c->x[i % C::num_elements];
    for (int m = 0; m < M; ++m)
      for (int k = 0; k < K; ++k)
        for (int n = 0; n < N; ++n) sum[m * N + n] += all_a[m * K + k] * all_b[k * N + n];
    for (int i = 0; i < M * N; ++i) lane(i / C::num_elements).d->x[i % C::num_elements] = sum[i];
  };
  if (blockDim.x * blockDim.y * blockDim.z - (cuemu::current->rank & ~31u) < 32)
    cuemu::fail_thread("wmma: the warp has less than 32 threads", where);
  cuemu::warp_collective(~0u, &mine, serve, where);
}

}  // namespace nvcuda::wmma
