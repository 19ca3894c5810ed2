// Marks around the static shared memory of all kernels of the library (shared_begin.cpp).
#pragma once

namespace cuemu {
extern __thread char shared_begin[64], shared_end[64];
}
