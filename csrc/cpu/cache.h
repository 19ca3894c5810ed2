// How much of a core's own cache a kernel may fill with what it reads again and again.
#pragma once
#include <cstdint>

namespace textnn::cpu {

// Three quarters of the second-level cache, as the system tells its size; 768 KiB, of 1 MiB, where it tells none. What
// depends on it is who computes what, and in which portions: no sum is made in another order.
int64_t core_cache_bytes();

// The same of a size in bytes, 0 or less where it is not known.
int64_t cache_share(int64_t bytes);

}  // namespace textnn::cpu
