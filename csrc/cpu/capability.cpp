#include "capability.h"
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <stdexcept>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace textnn::cpu {
namespace {

constexpr const char* kNames[] = {"base", "dotprod", "avx2", "avx512", "avx512_bf16", "amx_bf16"};
constexpr int kUnset = -1;
std::atomic<int> current{kUnset};

#if defined(__x86_64__) && !defined(TEXTNN_EMULATED_INSTRUCTIONS)

// What the CPU says of itself in leaf 7 (Intel SDM, CPUID).
struct Features {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit Features(uint32_t part) { __get_cpuid_count(7, part, &eax, &ebx, &ecx, &edx); }
};

// Tiles are memory of a thread that Linux hands out on request only; the answer holds for the whole process.
bool system_gives_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequest = 0x1023, kTiles = 18;  // ARCH_REQ_XCOMP_PERM, of the state XTILEDATA
  static const bool given = [] {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    constexpr uint32_t kStates = 3u << 17;  // XTILECFG and XTILEDATA
    return (low & kStates) == kStates && syscall(SYS_arch_prctl, kRequest, kTiles) == 0;
  }();
  return given;
#else
  return false;
#endif
}

bool has_tiles() {
  constexpr uint32_t kTiles = 1u << 24, kBfloat16 = 1u << 22, kBoth = kTiles | kBfloat16;
  return (Features(0).edx & kBoth) == kBoth;
}

bool supported(Capability c) {
  __builtin_cpu_init();
  switch (c) {
    case Capability::kAmxBf16:
      return TEXTNN_NEWER_INSTRUCTIONS && supported(Capability::kAvx512Bf16) && has_tiles() && system_gives_tiles();
    case Capability::kAvx512Bf16:
      return supported(Capability::kAvx512) && __builtin_cpu_supports("avx512bf16");
    case Capability::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case Capability::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Capability::kDotprod:
      return false;
    case Capability::kBase:
      break;
  }
  return true;
}

bool avx512_vnni() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni");
}
bool avx_vnni() { return TEXTNN_NEWER_INSTRUCTIONS && (Features(1).eax >> 4 & 1); }

#else

bool has_tiles() { return false; }

// Of the tests' own instructions all of x86; of aarch64 what Linux says; of another architecture the baseline.
bool supported(Capability c) {
#if defined(TEXTNN_EMULATED_INSTRUCTIONS)
  return c != Capability::kDotprod;
#else
#if defined(__aarch64__) && defined(__linux__)
  if (c == Capability::kDotprod) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
  return c == Capability::kBase;
#endif
}
bool avx512_vnni() { return supported(Capability::kAvx512); }
bool avx_vnni() { return supported(Capability::kAvx2); }

#endif

Capability parse(const std::string& name) {
  for (int i = 0; i < int(std::size(kNames)); ++i)
    if (name == kNames[i]) {
      if (!supported(Capability(i))) throw std::runtime_error("textnn: this CPU does not support '" + name + "'");
      return Capability(i);
    }
  throw std::runtime_error(
      "textnn: TEXTNN_CPU_CAPABILITY must be base, dotprod, avx2, avx512, avx512_bf16 or amx_bf16, "
      "got '" +
      name + "'");
}

// The fastest set; a name in the environment may ask for any. CPUs that have tiles multiply pairs in vectors at half
// the rate of float32 (Emerald Rapids: 70 against 146 GFLOP/s of a core): where the system gives no tiles AVX-512
// rounds.
Capability detect() {
  if (const char* name = std::getenv("TEXTNN_CPU_CAPABILITY"); name && *name) return parse(name);
  for (int i = int(std::size(kNames)) - 1; i > 0; --i)
    if (supported(Capability(i)) && !(Capability(i) == Capability::kAvx512Bf16 && has_tiles())) return Capability(i);
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
  static const bool with_avx512 = avx512_vnni(), with_avx2 = avx_vnni();
  const Capability c = capability();
  return c == Capability::kDotprod || (c >= Capability::kAvx512 ? with_avx512 : c == Capability::kAvx2 && with_avx2);
}

void set_capability(const std::string& name) { current.store(int(parse(name)), std::memory_order_relaxed); }

}  // namespace textnn::cpu
