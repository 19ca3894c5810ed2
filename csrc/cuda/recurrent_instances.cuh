// The instances of a persistent kernel, by the type of elements and how many values of k a column has at most; and how
// their blocks are laid over a device.
#pragma once
#include "recurrent_persistent.cuh"

namespace textnn::cuda {

// Calls f(slice) with a null pointer to the slice for columns of k values; returns false where there is none. More than
// 1024 values of 4 bytes do not fit into a block's registers.
template <class E, class F>
bool with_slice(bool tf32, int64_t k, F&& f) {
  constexpr bool halves = sizeof(E) == 2;
  if constexpr (halves) {
    if (k <= 128) return f(static_cast<FragmentSlice<E, 128>*>(nullptr)), true;
    if (k <= 256) return f(static_cast<FragmentSlice<E, 256>*>(nullptr)), true;
    if (k <= 512) return f(static_cast<FragmentSlice<E, 512>*>(nullptr)), true;
    if (k <= 1024) return f(static_cast<FragmentSlice<E, 1024>*>(nullptr)), true;
  } else {
    if constexpr (sizeof(E) == 4) {
      tf32 = tf32 && has_fragments<E>();
      if (tf32 && k <= 128) return f(static_cast<FragmentSlice<E, 128>*>(nullptr)), true;
      if (tf32 && k <= 256) return f(static_cast<FragmentSlice<E, 256>*>(nullptr)), true;
      if (tf32 && k <= 512) return f(static_cast<FragmentSlice<E, 512>*>(nullptr)), true;
      if (tf32 && k <= 1024) return f(static_cast<FragmentSlice<E, 1024>*>(nullptr)), true;
    }
    if (k <= 64) return f(static_cast<RegisterSlice<E, 64>*>(nullptr)), true;
    if (k <= 128) return f(static_cast<RegisterSlice<E, 128>*>(nullptr)), true;
    if (k <= 256) return f(static_cast<RegisterSlice<E, 256>*>(nullptr)), true;
    if (k <= 512) return f(static_cast<RegisterSlice<E, 512>*>(nullptr)), true;
    if constexpr (sizeof(E) == 4)
      if (k <= 1024) return f(static_cast<RegisterSlice<E, 1024>*>(nullptr)), true;
  }
  return false;
}

template <class E, int kCapacity, bool kFragments>
constexpr int slice_threads() {
  return kFragments ? FragmentSliceSizes<kCapacity>::kThreads : RegisterSlice<E, kCapacity>::kThreads;
}

inline int device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
  return value;
}

template <class E, class Slice, class Kernel>
PersistentGrid lay_out(Kernel kernel, int64_t slices, int64_t B, int directions) {
  constexpr bool fragments = Slice::kFragments;
  PersistentGrid g{};
  g.capacity = Slice::kWidth;
  g.slices = int(slices);
  g.blocks = int64_t(g.slices) * directions;
  if (!device_attribute(cudaDevAttrCooperativeLaunch) || (fragments && !has_fragments<E>())) return g;
  // Tiles of at most 32 sequences, in the 48 KB of shared memory that every device gives without being asked.
  int64_t most = fragments ? 16 : 32;
  while (!fragments && most > 8 && Slice::shared_bytes(most) > (48u << 10)) most -= 8;
  int per_multiprocessor = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, kernel, Slice::kThreads,
                                                      Slice::shared_bytes(most)),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  g.resident = int64_t(per_multiprocessor) * device_attribute(cudaDevAttrMultiProcessorCount);
  const int64_t groups = g.resident / g.blocks;
  g.possible = groups > 0;
  if (!g.possible) return g;
  const int64_t each = (B + groups - 1) / groups;
  g.rows_at_once = int(fragments ? 16 : std::min(most, std::max<int64_t>(8, (each + 7) / 8 * 8)));
  g.groups = int(std::max<int64_t>(1, std::min(groups, (B + g.rows_at_once - 1) / g.rows_at_once)));
  return g;
}

}  // namespace textnn::cuda
