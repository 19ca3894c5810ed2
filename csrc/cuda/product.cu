// A block makes a tile of c. Both operands go through shared memory in slices along k; while a slice is multiplied,
// the next one is already on its way into registers, so one barrier a slice is enough:
//
//   global --fetch--> registers --put--> shared [2 buffers] --> registers of the tile --> c
//
// Scalars: a tile of 64 x 128 (float64: 32 x 64) by 128 threads, 8 x 8 (4 x 4) sums each; slices are stored k-major, so
// that a thread reads its rows and columns as vectors. Tensor cores: a tile of 64 x 128 by 8 warps, 2 x 2 fragments
// each; slices are stored as they come, rows 16 bytes apart from a multiple of 64, which spreads them over the banks.
// Blocks whose rows lie behind the row count return at once.
#include "product.h"
#include "fragments.h"

namespace textnn::cuda {
namespace {

// A slice of kRows rows on its way into shared memory: kDepth elements of each, shared out among the threads in vectors
// of 16 bytes. kAligned: the rows begin at multiples of 16 bytes and consist of whole vectors.
template <class E, int kRows, int kDepth, int kThreads, bool kAligned>
class Slice {
  static constexpr int kVector = Vector<E>::kSize, kVectors = kDepth / kVector, kAll = kRows * kVectors;
  static constexpr int kEach = (kAll + kThreads - 1) / kThreads;
  const E* from_[kEach];  // null: a row of zeros
  Vector<E> vector_[kEach];

 public:
  // row(r): the r-th row of the slices, or null.
  template <class Row>
  __device__ __forceinline__ explicit Slice(Row&& row) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int at = int(threadIdx.x) + i * kThreads;
      from_[i] = at < kAll ? row(at / kVectors) : nullptr;
    }
  }

  // Elements begin .. begin + kDepth of each row, zeros from K on.
  __device__ __forceinline__ void fetch(int begin, int K) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int k = begin + (int(threadIdx.x) + i * kThreads) % kVectors * kVector;
      vector_[i] = Vector<E>{};
      if (!from_[i]) continue;
      if constexpr (kAligned) {
        if (k < K) vector_[i] = load_vector(from_[i] + k);
      } else {
#pragma unroll
        for (int e = 0; e < kVector; ++e)
          if (k + e < K) vector_[i].element[e] = from_[i][k + e];
      }
    }
  }

  // write(row, k, vector)
  template <class Write>
  __device__ __forceinline__ void put(Write&& write) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int at = int(threadIdx.x) + i * kThreads;
      if (kAll % kThreads == 0 || at < kAll) write(at / kVectors, at % kVectors * kVector, vector_[i]);
    }
  }
};

template <class E>
__device__ __forceinline__ int64_t rows_of(const Product<E>& a) {
  return a.rows ? int64_t(*a.rows) : a.M;
}
template <class E>
__device__ __forceinline__ const E* row_of_a(const Product<E>& a, int64_t m, int64_t rows) {
  return m < rows ? a.a + (a.index ? a.index[m] : m) * a.K : nullptr;
}
template <class E>
__device__ __forceinline__ const E* row_of_b(const Product<E>& a, int64_t n) {
  return n < a.N ? a.b + n * a.K : nullptr;
}

// --- scalars ---

template <class E>
struct ScalarTile {
  using C = Compute<E>;
  static constexpr int kThreads = 128, kDown = 8, kAcross = 16;  // threads along m and n
  static constexpr int kGroup = Vector<C>::kSize;                // neighbouring rows or columns of a thread
  static constexpr int kGroups = 2, kSums = kGroups * kGroup;    // in each direction
  static constexpr int kM = kDown * kSums, kN = kAcross * kSums, kDepth = 8;
};

template <class E, bool kAligned>
__global__ void __launch_bounds__(ScalarTile<E>::kThreads, 3) scalar_product_kernel(Product<E> a, bool store_vectors) {
  using T = ScalarTile<E>;
  using C = typename T::C;
  constexpr int kGroup = T::kGroup, kSums = T::kSums, kStrideM = T::kM + kGroup, kStrideN = T::kN + kGroup;
  __shared__ __align__(16) C x[2][T::kDepth * kStrideM];
  __shared__ __align__(16) C w[2][T::kDepth * kStrideN];

  const int K = int(a.K);
  const int64_t rows = rows_of(a), m0 = int64_t(blockIdx.x) * T::kM, n0 = int64_t(blockIdx.y) * T::kN;
  if (m0 >= rows) return;
  Slice<E, T::kM, T::kDepth, T::kThreads, kAligned> slice_a([&](int r) { return row_of_a(a, m0 + r, rows); });
  Slice<E, T::kN, T::kDepth, T::kThreads, kAligned> slice_b([&](int r) { return row_of_b(a, n0 + r); });
  const int down = int(threadIdx.x) / T::kAcross * kGroup, across = int(threadIdx.x) % T::kAcross * kGroup;

  C sum[kSums][kSums] = {};
  slice_a.fetch(0, K);
  slice_b.fetch(0, K);
  for (int k0 = 0, buffer = 0; k0 < K; k0 += T::kDepth, buffer ^= 1) {
    const auto put = [](C* to, int stride) {
      return [=](int row, int k, const Vector<E>& v) {
#pragma unroll
        for (int e = 0; e < Vector<E>::kSize; ++e) to[(k + e) * stride + row] = load(&v.element[e]);
      };
    };
    slice_a.put(put(x[buffer], kStrideM));
    slice_b.put(put(w[buffer], kStrideN));
    __syncthreads();
    if (k0 + T::kDepth < K) {
      slice_a.fetch(k0 + T::kDepth, K);
      slice_b.fetch(k0 + T::kDepth, K);
    }
#pragma unroll
    for (int k = 0; k < T::kDepth; ++k) {
      Vector<C> u[T::kGroups], v[T::kGroups];
#pragma unroll
      for (int g = 0; g < T::kGroups; ++g) {
        u[g] = load_vector(x[buffer] + k * kStrideM + g * T::kDown * kGroup + down);
        v[g] = load_vector(w[buffer] + k * kStrideN + g * T::kAcross * kGroup + across);
      }
#pragma unroll
      for (int i = 0; i < kSums; ++i)
#pragma unroll
        for (int j = 0; j < kSums; ++j)
          sum[i][j] += u[i / kGroup].element[i % kGroup] * v[j / kGroup].element[j % kGroup];
    }
  }

#pragma unroll
  for (int i = 0; i < kSums; ++i) {
    const int64_t m = m0 + i / kGroup * T::kDown * kGroup + down + i % kGroup;
    if (m >= rows) continue;
#pragma unroll
    for (int g = 0; g < T::kGroups; ++g) {
      const int64_t n = n0 + g * T::kAcross * kGroup + across;
      C* to = a.c + m * a.N + n;
      if (store_vectors && n < a.N) {
        Vector<C> v;
#pragma unroll
        for (int j = 0; j < kGroup; ++j) v.element[j] = sum[i][g * kGroup + j];
        store_vector(to, v);
      } else {
#pragma unroll
        for (int j = 0; j < kGroup; ++j)
          if (n + j < a.N) to[j] = sum[i][g * kGroup + j];
      }
    }
  }
}

// --- tensor cores ---

template <class E>
struct FragmentTile {
  static constexpr int kThreads = 256, kM = 64, kN = 128, kWarp = 32;  // kWarp x kWarp of the tile for each warp
  static constexpr int kDepth = 64 / int(sizeof(E)), kStride = kDepth + Vector<E>::kSize;
  static constexpr int kStage = 16 + 4;  // from row to row where a fragment of sums is laid out
};

template <class E, bool kAligned>
__global__ void __launch_bounds__(FragmentTile<E>::kThreads) fragment_product_kernel(Product<E> a) {
  if constexpr (Fragments<E>::kExist) {
    using T = FragmentTile<E>;
    using F = Fragments<E>;
    constexpr int kFragments = T::kWarp / 16, kWarps = T::kThreads / 32;
    constexpr int kBuffer = (T::kM + T::kN) * T::kStride;
    __shared__ __align__(32) E slices[2][kBuffer];
    static_assert(sizeof slices >= kWarps * 16 * T::kStage * sizeof(float), "the sums are laid out in the same memory");

    const int K = int(a.K);
    const int64_t rows = rows_of(a), m0 = int64_t(blockIdx.x) * T::kM, n0 = int64_t(blockIdx.y) * T::kN;
    if (m0 >= rows) return;
    Slice<E, T::kM, T::kDepth, T::kThreads, kAligned> slice_a([&](int r) { return row_of_a(a, m0 + r, rows); });
    Slice<E, T::kN, T::kDepth, T::kThreads, kAligned> slice_b([&](int r) { return row_of_b(a, n0 + r); });
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    const int down = warp / (T::kN / T::kWarp) * T::kWarp, across = warp % (T::kN / T::kWarp) * T::kWarp;

    typename F::Sum sum[kFragments][kFragments];
#pragma unroll
    for (int i = 0; i < kFragments; ++i)
#pragma unroll
      for (int j = 0; j < kFragments; ++j) nvcuda::wmma::fill_fragment(sum[i][j], 0.0f);
    slice_a.fetch(0, K);
    slice_b.fetch(0, K);
    for (int k0 = 0, buffer = 0; k0 < K; k0 += T::kDepth, buffer ^= 1) {
      E *x = slices[buffer], *w = x + T::kM * T::kStride;
      const auto put = [](E* to) {
        return [=](int row, int k, Vector<E> v) {
#pragma unroll
          for (int e = 0; e < Vector<E>::kSize; ++e) v.element[e] = fragment_element(v.element[e]);
          store_vector(to + row * T::kStride + k, v);
        };
      };
      slice_a.put(put(x));
      slice_b.put(put(w));
      __syncthreads();
      if (k0 + T::kDepth < K) {
        slice_a.fetch(k0 + T::kDepth, K);
        slice_b.fetch(k0 + T::kDepth, K);
      }
#pragma unroll
      for (int k = 0; k < T::kDepth; k += F::kK) {
        typename F::A u[kFragments];
        typename F::B v[kFragments];
#pragma unroll
        for (int i = 0; i < kFragments; ++i) {
          load_fragment<E>(u[i], x + (down + 16 * i) * T::kStride + k, T::kStride);
          load_fragment<E>(v[i], w + (across + 16 * i) * T::kStride + k, T::kStride);
        }
#pragma unroll
        for (int i = 0; i < kFragments; ++i)
#pragma unroll
          for (int j = 0; j < kFragments; ++j) nvcuda::wmma::mma_sync(sum[i][j], u[i], v[j], sum[i][j]);
      }
    }

    // Which lane holds which sum is not specified, and the tile may end inside of a fragment.
    __syncthreads();
    float* stage = reinterpret_cast<float*>(slices) + warp * 16 * T::kStage;
#pragma unroll
    for (int i = 0; i < kFragments; ++i)
#pragma unroll
      for (int j = 0; j < kFragments; ++j) {
        nvcuda::wmma::store_matrix_sync(stage, sum[i][j], T::kStage, nvcuda::wmma::mem_row_major);
        __syncwarp();
        const int64_t n = n0 + across + 16 * j + lane % 16;
#pragma unroll
        for (int r = lane / 16; r < 16; r += 2) {
          const int64_t m = m0 + down + 16 * i + r;
          if (m < rows && n < a.N) a.c[m * a.N + n] = stage[r * T::kStage + lane % 16];
        }
        __syncwarp();
      }
  }
}

template <class T>
dim3 grid_of(int64_t M, int64_t N) {
  return dim3(unsigned((M + T::kM - 1) / T::kM), unsigned((N + T::kN - 1) / T::kN));
}

template <class E, bool kAligned>
cudaError_t launch_scalars(Stream stream, const Product<E>& a) {
  using T = ScalarTile<E>;
  return CUDA_LAUNCH((scalar_product_kernel<E, kAligned>), grid_of<T>(a.M, a.N), T::kThreads, 0, native(stream), a,
                     vectors_fit(a.N, a.c));
}
template <class E, bool kAligned>
cudaError_t launch_fragments(Stream stream, const Product<E>& a) {
  using T = FragmentTile<E>;
  return CUDA_LAUNCH((fragment_product_kernel<E, kAligned>), grid_of<T>(a.M, a.N), T::kThreads, 0, native(stream), a);
}

template <class E, bool kAligned>
cudaError_t launch_product(Stream stream, const Product<E>& a) {
  if constexpr (std::is_same_v<E, double>) {
    return launch_scalars<E, kAligned>(stream, a);
  } else if constexpr (std::is_same_v<E, Float16>) {  // every architecture has them
    return launch_fragments<E, kAligned>(stream, a);
  } else {
    const bool allowed = std::is_same_v<E, BFloat16> || a.tf32;
    return allowed && has_fragments<E>() ? launch_fragments<E, kAligned>(stream, a)
                                         : launch_scalars<E, kAligned>(stream, a);
  }
}

}  // namespace

template <class E>
void product(Stream stream, const Product<E>& a) {
  if (a.M * a.N == 0) return;
  check(vectors_fit(a.K, a.a, a.b) ? launch_product<E, true>(stream, a) : launch_product<E, false>(stream, a),
        "product");
}

#define TEXTNN_INSTANTIATE(E) template void product(Stream, const Product<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
