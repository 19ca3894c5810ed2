// Qualifiers, indices and barriers, and the functions of the emulator behind them.
#pragma once
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include "vector_types.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __constant__ static
// Static shared memory. A block that has begun owns its OS thread until it ends, so what belongs to the thread belongs
// to the block. All variables of this kind that the kernels' units hold lie between two markers (shared_begin.cpp,
// shared_end.cpp) and are filled with 0xFF before each block: those units may have no thread_local of their own.
#define __shared__ static __thread
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

namespace cuemu {

// A place in the kernel's source. As a default argument, the place of the call.
struct Where {
  const char* file;
  int line;
  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

// What kernels may see of the block and the thread they run in.
struct Block {
  uint3 index;
  dim3 dim, grid;
  char* shared;  // dynamic shared memory
};
struct Thread {
  uint3 index;
  unsigned rank;  // x first
  Block* block;
  unsigned lane() const { return rank % 32; }
};
extern __thread Thread* current;  // null in host code

// Waits for the block; returns how many of its threads came with `vote`.
int sync_block(bool vote, Where where);
void sync_grid(Where where);

// Waits until every lane of `mask` has come to this operation (the same `serve` in the same place). The last one calls
// serve(lanes, mask) for all, where lanes[l] is what lane l brought as `mine`. Without `serve` it is __syncwarp, which
// alone orders memory.
using Serve = void (*)(void* const* lanes, unsigned mask);
void warp_collective(unsigned mask, void* mine, Serve serve, Where where);

// Lets other threads, and in a cooperative launch other blocks, run.
void yield();
void fence();
void note_atomic(void* p, size_t bytes);
// Ends the launch with a report that names the thread.
[[noreturn]] void fail_thread(const char* what, Where where);

}  // namespace cuemu

#define threadIdx (::cuemu::current->index)
#define blockIdx (::cuemu::current->block->index)
#define blockDim (::cuemu::current->block->dim)
#define gridDim (::cuemu::current->block->grid)
constexpr int warpSize = 32;

inline void __syncthreads(cuemu::Where where = cuemu::Where::here()) { cuemu::sync_block(false, where); }
inline int __syncthreads_count(int p, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::sync_block(p != 0, where);
}
inline int __syncthreads_or(int p, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::sync_block(p != 0, where) != 0;
}
inline int __syncthreads_and(int p, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::sync_block(p == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, cuemu::Where where = cuemu::Where::here()) {
  cuemu::warp_collective(mask, nullptr, nullptr, where);
}
[[noreturn]] inline void __trap(cuemu::Where where = cuemu::Where::here()) { cuemu::fail_thread("trap", where); }
