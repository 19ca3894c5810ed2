#include "shared_markers.h"

namespace cuemu {
alignas(64) __thread char shared_end[64];
}
