// Which form of the recurrence costs less, by an estimate of one step (docs/cuda.md has the arithmetic). Only its order
// of magnitude matters: the forms differ by a factor of two and more on either side of the border.
#pragma once
#include <algorithm>
#include <cmath>
#include "recurrent.h"

namespace textnn::cuda {

struct RecurrentCost {
  int64_t multiprocessors;
  int64_t B, H, P;
  int64_t blocks;  // of H rows in a weight
  int64_t element_size;
  bool tensor_cores;
  int directions;

  // Cycles of a multiprocessor, of which one does 64 multiply-adds of float32 or, in tensor cores, 512; half of that is
  // what kernels reach.
  double multiply_adds_per_cycle() const { return (tensor_cores ? 512 : element_size == 8 ? 32 : 64) * 0.5; }

  // A barrier of the whole grid and reading back what others wrote, then the tiles of a group one after the other.
  double persistent(const PersistentGrid& g) const {
    const double tiles = std::ceil(std::ceil(double(B) / g.rows_at_once) / g.groups);
    const double tile = double(g.rows_at_once) * 32 * double(g.capacity) / multiply_adds_per_cycle();
    return kBarrierCycles + tiles * (kTileCycles + tile);
  }
  // A matrix product and a kernel, each launched anew, and the weights read from the second-level cache.
  double steps() const {
    const double product =
        double(B) * double(blocks) * double(H) * double(P) / (multiply_adds_per_cycle() * double(multiprocessors));
    const double weights = double(blocks * H * P * element_size) / (kCacheBytesPerCycle * double(multiprocessors));
    return directions * (2 * kLaunchCycles + std::max(product, weights));
  }

  static constexpr double kBarrierCycles = 2800, kTileCycles = 1000;  // 2 and 0.7 microseconds at 1.4 GHz
  static constexpr double kLaunchCycles = 7000;                       // 5 microseconds: a host issues them one by one
  static constexpr double kCacheBytesPerCycle = 32;                   // for each multiprocessor
};

}  // namespace textnn::cuda
