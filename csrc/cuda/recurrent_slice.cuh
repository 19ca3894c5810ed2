// A block's slice of the recurrent weights, kept in registers for the whole sequence, and its product with the states
// of a tile of sequences. 32 columns of K values: forwards all blocks of some units (of an LSTM 4 of 8), backwards 32
// units.
//
//   RegisterSlice   (Diamos et al. 2016, Persistent RNNs) a warp has 4 columns, of which lane l holds the values
//                   k = l, 32 + l, 64 + l, ...; states lie in shared memory. A lane multiplies 8 states with its part
//                   of the 4 columns, and the 32 sums of a warp are added up across its lanes, after which each lane
//                   holds one of them. The longest columns are split between two warps.
//   FragmentSlice   tensor cores: a warp has all 32 columns for an eighth of K, as fragments in registers; it
//                   multiplies 16 states, which come as fragments from global memory, and the eight partial sums meet
//                   in shared memory.
//
// A product is asked for by all threads of the block; sum(row, column) may be read after it, and shared memory must not
// be used again (the next product begins to) before every thread has read its sums: a barrier between them is the
// caller's.
#pragma once
#include <type_traits>
#include "fragments.h"
#include "storage.h"

namespace textnn::cuda {

constexpr int kSliceColumns = 32;

// The sum of value[lane % N] over the warp's lanes, for N = 16 or 32 values of each: half of them change sides in each
// exchange, 31 shuffles in all, where adding up one value after the other takes 5 N. A template, so that the values
// stay in registers.
template <int kHalf, int N, class C>
__device__ __forceinline__ C scatter(C (&value)[N]) {
  const bool upper = threadIdx.x & unsigned(kHalf);
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const C give = upper ? value[i] : value[i + kHalf], keep = upper ? value[i + kHalf] : value[i];
    value[i] = keep + __shfl_xor_sync(0xffffffffu, give, kHalf);
  }
  if constexpr (kHalf == 1)
    return value[0];
  else
    return scatter<kHalf / 2>(value);
}
template <int N, class C>
__device__ __forceinline__ C reduce_scatter(C (&value)[N]) {
  if constexpr (N == 16)
#pragma unroll
    for (int i = 0; i < N; ++i) value[i] += __shfl_xor_sync(0xffffffffu, value[i], 16);
  return scatter<N / 2>(value);
}

template <class E, int kCapacity>
class RegisterSlice {
  static constexpr int kSplit = kCapacity > 512 ? 2 : 1;  // warps that share a column
  static constexpr int kPerWarp = kCapacity / kSplit, kPerLane = kPerWarp / 32;
  static constexpr int kRows = kSplit == 2 ? 4 : 8;  // multiplied at once: what the registers have room for

 public:
  using C = Compute<E>;
  static constexpr bool kFragments = false;
  static constexpr int kThreads = 256 * kSplit;
  static constexpr int kWidth = kCapacity;  // of a state in memory
  static size_t shared_bytes(int64_t rows) { return size_t(rows) * (kCapacity + kSplit * kSliceColumns) * sizeof(C); }

  // weight(column, k): zero beyond the last of either.
  template <class F>
  __device__ __forceinline__ void load_weights(void* shared, int rows, F&& weight) {
    states_ = static_cast<C*>(shared);
    sums_ = states_ + rows * kCapacity;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
#pragma unroll
      for (int c = 0; c < 4; ++c) weight_[c][i] = weight(column() + c, part() * kPerWarp + i * 32 + lane());
      // The compiler would have the addresses of all of them at once, in registers that there are not.
      if (i % 8 == 7) asm volatile("" ::: "memory");
    }
  }

  // state: [rows, kWidth], of which the rows up to the next multiple of 8 exist.
  __device__ __forceinline__ void multiply(const E* state, int rows) {
    const int all = (rows + 7) / 8 * 8;
    constexpr int N = Vector<E>::kSize;
    for (int i = int(threadIdx.x) * N; i < all * kCapacity; i += kThreads * N) {
      const Vector<E> v = load_vector(state + i);
#pragma unroll
      for (int n = 0; n < N; ++n) states_[i + n] = load(&v.element[n]);
    }
    __syncthreads();
#pragma unroll 1
    for (int first = 0; first < all; first += kRows) {
      C sum[4 * kRows] = {};
      const C* s = states_ + first * kCapacity + part() * kPerWarp + lane();
#pragma unroll
      for (int i = 0; i < kPerLane; ++i)
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const C v = s[r * kCapacity + i * 32];
#pragma unroll
          for (int c = 0; c < 4; ++c) sum[r * 4 + c] += v * weight_[c][i];
        }
      const C total = reduce_scatter(sum);
      if (lane() < 4 * kRows)
        sums_[((first + lane() / 4) * kSplit + part()) * kSliceColumns + column() + lane() % 4] = total;
    }
    __syncthreads();
  }
  __device__ __forceinline__ C sum(int row, int column) const {
    C total = sums_[row * kSplit * kSliceColumns + column];
    if constexpr (kSplit == 2) total += sums_[(row * kSplit + 1) * kSliceColumns + column];
    return total;
  }

 private:
  static __device__ __forceinline__ int lane() { return int(threadIdx.x) % 32; }
  static __device__ __forceinline__ int column() { return int(threadIdx.x) / 32 % 8 * 4; }  // first of the warp's
  static __device__ __forceinline__ int part() { return int(threadIdx.x) / 256; }           // of the columns
  C weight_[4][kPerLane];
  C* states_;  // [rows, kCapacity]
  C* sums_;    // [rows, kSplit, 32]
};

template <int kCapacity>
struct FragmentSliceSizes {
  using C = float;
  static constexpr bool kFragments = true;
  static constexpr int kWarps = 8, kThreads = kWarps * 32, kWidth = kCapacity, kRows = 16;
  static size_t shared_bytes(int64_t) { return kWarps * kRows * kSliceColumns * sizeof(float); }
};
// Where an architecture has no such fragments, only its sizes.
template <class E, int kCapacity, bool = Fragments<E>::kExist>
class FragmentSlice : public FragmentSliceSizes<kCapacity> {};

template <class E, int kCapacity>
class FragmentSlice<E, kCapacity, true> : public FragmentSliceSizes<kCapacity> {
  using F = Fragments<E>;
  using Sizes = FragmentSliceSizes<kCapacity>;
  static constexpr int kWarps = Sizes::kWarps, kRows = Sizes::kRows;
  static constexpr int kDepth = F::kK, kPerWarp = kCapacity / kWarps, kParts = kPerWarp / kDepth;
  static_assert(kParts * kDepth * kWarps == kCapacity, "every warp takes whole fragments");

 public:
  template <class Weight>
  __device__ __forceinline__ void load_weights(void* shared, int, Weight&& weight) {
    partial_ = static_cast<float*>(shared);
    // Each warp passes 16 columns of a fragment's depth through a piece of shared memory of its own.
    E* piece = static_cast<E*>(shared) + warp() * 16 * kDepth;
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int p = 0; p < kParts; ++p) {
        for (int i = lane(); i < 16 * kDepth; i += 32) {
          const int column = half * 16 + i / kDepth;
          store(piece + i, weight(column, warp() * kPerWarp + p * kDepth + i % kDepth));
        }
        __syncwarp();
        load_fragment<E>(weight_[half][p], piece, kDepth);
        round(weight_[half][p]);
        __syncwarp();
      }
    __syncthreads();
  }

  // state: [16, kWidth], all of which exist.
  __device__ __forceinline__ void multiply(const E* state, int) {
    typename F::Sum sum[2];
    nvcuda::wmma::fill_fragment(sum[0], 0.0f);
    nvcuda::wmma::fill_fragment(sum[1], 0.0f);
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      typename F::A states;
      load_fragment<E>(states, state + warp() * kPerWarp + p * kDepth, kCapacity);
      round(states);
      nvcuda::wmma::mma_sync(sum[0], states, weight_[0][p], sum[0]);
      nvcuda::wmma::mma_sync(sum[1], states, weight_[1][p], sum[1]);
    }
    float* mine = partial_ + warp() * kRows * kSliceColumns;
    nvcuda::wmma::store_matrix_sync(mine, sum[0], kSliceColumns, nvcuda::wmma::mem_row_major);
    nvcuda::wmma::store_matrix_sync(mine + 16, sum[1], kSliceColumns, nvcuda::wmma::mem_row_major);
    __syncthreads();
  }
  __device__ __forceinline__ float sum(int row, int column) const {
    float total = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) total += partial_[(w * kRows + row) * kSliceColumns + column];
    return total;
  }

 private:
  static __device__ __forceinline__ int lane() { return int(threadIdx.x) % 32; }
  static __device__ __forceinline__ int warp() { return int(threadIdx.x) / 32; }
  template <class Fragment>
  static __device__ __forceinline__ void round(Fragment& fragment) {
    if constexpr (sizeof(E) == 4)
      for (int i = 0; i < fragment.num_elements; ++i) fragment.x[i] = fragment_element<E>(fragment.x[i]);
  }
  typename F::B weight_[2][kParts];
  float* partial_;  // [8 warps, 16, 32]
};

}  // namespace textnn::cuda
