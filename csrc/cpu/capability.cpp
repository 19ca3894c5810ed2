#include "capability.h"
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <stdexcept>

namespace textnn::cpu {
namespace {

constexpr const char* kNames[] = {"base", "avx2", "avx512", "avx512_bf16"};
constexpr int kUnset = -1;
std::atomic<int> current{kUnset};

bool supported(Capability c) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#if defined(TEXTNN_EMULATED_INSTRUCTIONS)
  if (c == Capability::kAvx512Bf16) return true;
#endif
  if (c == Capability::kAvx512Bf16) return supported(Capability::kAvx512) && __builtin_cpu_supports("avx512bf16");
  if (c == Capability::kAvx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (c == Capability::kAvx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return c == Capability::kBase;
}

Capability parse(const std::string& name) {
  for (int i = 0; i < int(std::size(kNames)); ++i)
    if (name == kNames[i]) {
      if (!supported(Capability(i))) throw std::runtime_error("textnn: this CPU does not support '" + name + "'");
      return Capability(i);
    }
  throw std::runtime_error("textnn: TEXTNN_CPU_CAPABILITY must be base, avx2, avx512 or avx512_bf16, got '" + name +
                           "'");
}

Capability detect() {
  if (const char* name = std::getenv("TEXTNN_CPU_CAPABILITY"); name && *name) return parse(name);
  for (const Capability c : {Capability::kAvx512Bf16, Capability::kAvx512, Capability::kAvx2})
    if (supported(c)) return c;
  return Capability::kBase;
}

}  // namespace

Capability capability() {
  int c = current.load(std::memory_order_relaxed);
  if (c == kUnset) {
    c = int(detect());
    current.store(c, std::memory_order_relaxed);
  }
  return Capability(c);
}

const char* capability_name(Capability c) { return kNames[int(c)]; }

bool has_dot_products() {
#if defined(__x86_64__)
  static const bool found = [] {
    __builtin_cpu_init();
    return bool(__builtin_cpu_supports("avx512vnni"));
  }();
  return found;
#else
  return false;
#endif
}

void set_capability(const std::string& name) { current.store(int(parse(name)), std::memory_order_relaxed); }

}  // namespace textnn::cpu
