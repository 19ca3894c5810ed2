// cooperative_groups: the grid, the block, and tiles of a warp.
#pragma once
#include "execution.h"
#include "warp.h"

namespace cooperative_groups {

struct thread_block {
  void sync(cuemu::Where where = cuemu::Where::here()) const { cuemu::sync_block(false, where); }
  unsigned thread_rank() const { return cuemu::current->rank; }
  unsigned size() const { return blockDim.x * blockDim.y * blockDim.z; }
  unsigned num_threads() const { return size(); }
  dim3 group_index() const { return blockIdx; }
  dim3 thread_index() const { return threadIdx; }
};

struct grid_group {
  void sync(cuemu::Where where = cuemu::Where::here()) const { cuemu::sync_grid(where); }
  bool is_valid() const { return true; }
  unsigned long long num_blocks() const { return 1ull * gridDim.x * gridDim.y * gridDim.z; }
  unsigned long long block_rank() const {
    return blockIdx.x + 1ull * gridDim.x * (blockIdx.y + 1ull * gridDim.y * blockIdx.z);
  }
  unsigned long long thread_rank() const { return block_rank() * thread_block().size() + cuemu::current->rank; }
  unsigned long long size() const { return num_blocks() * thread_block().size(); }
  unsigned long long num_threads() const { return size(); }
};

template <unsigned N>
struct thread_block_tile {
  static_assert(N >= 1 && N <= 32 && (N & (N - 1)) == 0, "tiles of a warp have 1, 2, 4, 8, 16 or 32 threads");
  static unsigned first() { return cuemu::current->lane() & ~(N - 1); }
  static unsigned mask() { return (N == 32 ? ~0u : (1u << N % 32) - 1) << first(); }
  static constexpr unsigned size() { return N; }
  static constexpr unsigned num_threads() { return N; }
  unsigned thread_rank() const { return cuemu::current->rank % N; }
  unsigned meta_group_rank() const { return cuemu::current->rank / N; }
  unsigned meta_group_size() const { return (thread_block().size() + N - 1) / N; }
  void sync(cuemu::Where where = cuemu::Where::here()) const { __syncwarp(mask(), where); }
  template <class T>
  T shfl(T value, int source, cuemu::Where where = cuemu::Where::here()) const {
    return __shfl_sync(mask(), value, source, N, where);
  }
  template <class T>
  T shfl_xor(T value, int bits, cuemu::Where where = cuemu::Where::here()) const {
    return __shfl_xor_sync(mask(), value, bits, N, where);
  }
  template <class T>
  T shfl_down(T value, unsigned by, cuemu::Where where = cuemu::Where::here()) const {
    return __shfl_down_sync(mask(), value, by, N, where);
  }
  template <class T>
  T shfl_up(T value, unsigned by, cuemu::Where where = cuemu::Where::here()) const {
    return __shfl_up_sync(mask(), value, by, N, where);
  }
  int any(int predicate, cuemu::Where where = cuemu::Where::here()) const {
    return __any_sync(mask(), predicate, where);
  }
  int all(int predicate, cuemu::Where where = cuemu::Where::here()) const {
    return __all_sync(mask(), predicate, where);
  }
  unsigned ballot(int predicate, cuemu::Where where = cuemu::Where::here()) const {
    return __ballot_sync(mask(), predicate, where) >> first();
  }
};

inline grid_group this_grid() { return {}; }
inline thread_block this_thread_block() { return {}; }
template <unsigned N>
thread_block_tile<N> tiled_partition(const thread_block&) {
  return {};
}

}  // namespace cooperative_groups
