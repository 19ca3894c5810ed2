// The thread's memory that static shared variables take lies between this marker and that of shared_end.cpp: the
// library is linked in the order shared_begin, the kernels' units, shared_end, everything else, and linkers keep that
// order.
#include "shared_markers.h"

namespace cuemu {
alignas(64) __thread char shared_begin[64];
}
