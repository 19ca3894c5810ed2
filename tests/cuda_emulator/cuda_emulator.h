// CUDA on the CPU: what a kernel's source sees in the place of the CUDA headers when g++ compiles it.
//
// Each CUDA thread is a fiber. The fibers of a block share one OS thread and switch at barriers and warp operations, so
// that a kernel runs as its author wrote it, and what a GPU leaves undefined (a divergent barrier, a missing lane, a
// race) is reported. The parts:
//
//   vector_types.h   dim3, float4 and the like
//   execution.h      qualifiers, threadIdx, barriers; the two functions through which fibers wait
//   half.h           __half, __nv_bfloat16
//   warp.h           shuffles, votes, matches, reductions within a warp
//   intrinsics.h     atomics, caches, bits, fast mathematics
//   groups.h         cooperative_groups
//   wmma.h           nvcuda::wmma
//   runtime_api.h    the host's side: devices, errors, attributes, copies
//   launching.h      CUDA_LAUNCH, CUDA_LAUNCH_COOPERATIVE, CUDA_DYNAMIC_SHARED
//
// README.md says how to build a library of kernels with it, what it finds and what it cannot.
#pragma once
#include "vector_types.h"
#include "execution.h"
#include "half.h"
#include "warp.h"
#include "intrinsics.h"
#include "groups.h"
#include "wmma.h"
#include "runtime_api.h"
#include "launching.h"
