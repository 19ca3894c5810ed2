#include "cache.h"
#include <algorithm>
#include <fstream>
#if defined(__unix__)
#include <unistd.h>
#endif

namespace textnn::cpu {
namespace {

int64_t second_level() {
  int64_t size = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  size = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return size > 0 ? size : described_cache("/sys/devices/system/cpu/cpu0/cache");
}

template <class Value>
Value first_word(const std::string& path) {
  Value value{};
  std::ifstream(path) >> value;
  return value;
}

}  // namespace

int64_t described_cache(const std::string& folder) {
  for (int i = 0; i < 8; ++i) {
    const std::string cache = folder + "/index" + std::to_string(i) + "/";
    if (first_word<int>(cache + "level") != 2 || first_word<std::string>(cache + "type") == "Instruction") continue;
    int64_t size = 0;
    char unit = 0;
    std::ifstream(cache + "size") >> size >> unit;
    return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : size;
  }
  return 0;
}

int64_t cache_share(int64_t bytes) {
  constexpr int64_t kUsual = 1 << 20, kLeast = 256 << 10, kMost = 4 << 20;  // larger ones are shared by several cores
  return (bytes > 0 ? std::min(kMost, std::max(kLeast, bytes)) : kUsual) / 4 * 3;
}

int64_t core_cache_bytes() {
  static const int64_t share = cache_share(second_level());
  return share;
}

}  // namespace textnn::cpu
