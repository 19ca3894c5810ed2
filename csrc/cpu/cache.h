// How much of a core's own cache a kernel may fill with what it reads again and again.
#pragma once
#include <cstdint>
#include <string>

namespace textnn::cpu {

// Three quarters of the second-level cache, as the system tells its size; 768 KiB, of 1 MiB, where it tells none. What
// depends on it is who computes what, and in which portions: no sum is made in another order.
int64_t core_cache_bytes();

// The same of a size in bytes, 0 or less where it is not known.
int64_t cache_share(int64_t bytes);

// The size of the second-level cache that Linux describes in a folder such as /sys/devices/system/cpu/cpu0/cache, 0
// where it describes none: the C library knows it of x86, of ARM mostly not.
int64_t described_cache(const std::string& folder);

}  // namespace textnn::cpu
