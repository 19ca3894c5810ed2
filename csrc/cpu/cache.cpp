#include "cache.h"
#include <algorithm>
#if defined(__unix__)
#include <unistd.h>
#endif

namespace textnn::cpu {
namespace {

int64_t second_level() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  return sysconf(_SC_LEVEL2_CACHE_SIZE);
#else
  return 0;
#endif
}

}  // namespace

int64_t cache_share(int64_t bytes) {
  constexpr int64_t kUsual = 1 << 20, kLeast = 256 << 10, kMost = 4 << 20;  // larger ones are shared by several cores
  return (bytes > 0 ? std::min(kMost, std::max(kLeast, bytes)) : kUsual) / 4 * 3;
}

int64_t core_cache_bytes() {
  static const int64_t share = cache_share(second_level());
  return share;
}

}  // namespace textnn::cpu
