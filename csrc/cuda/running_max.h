// A maximum over time and where it stands, for one thread's slice of it (tiles.h) and then for those of all threads.
#pragma once
#include <cmath>
#include "launch.h"

namespace textnn::cuda {

// The greatest value seen and the first place where it stands.
template <class A>
struct RunningMax {
  A value = A(-INFINITY);
  int32_t at = 0;

  // A NaN wins over every number and stays, as in torch.max.
  __device__ void see(A z, int32_t place) {
    if (z > value || (z != z && value == value)) {
      value = z;
      at = place;
    }
  }
};

}  // namespace textnn::cuda
