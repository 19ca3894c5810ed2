// Which instruction set the kernels run with: the best that this CPU has, unless TEXTNN_CPU_CAPABILITY names another.
//
// "base" is what every CPU of an architecture has: SSE2 on x86-64, NEON on aarch64.
#pragma once
#include <string>

// Whether the compiler knows AMX and AVX-VNNI.
#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 11)
#define TEXTNN_NEWER_INSTRUCTIONS 1
#else
#define TEXTNN_NEWER_INSTRUCTIONS 0
#endif

namespace textnn::cpu {

enum class Capability : int { kBase, kDotprod, kAvx2, kAvx512, kAvx512Bf16, kAmxBf16 };

// The set in use. Throws std::runtime_error if TEXTNN_CPU_CAPABILITY names one that is unknown or that this CPU lacks.
Capability capability();
const char* capability_name(Capability c);
// "base", "dotprod" (of aarch64), "avx2", "avx512", "avx512_bf16" or "amx_bf16" (of x86-64): every later call of a
// kernel uses it. Throws std::runtime_error like capability().
void set_capability(const std::string& name);
// Whether the CPU multiplies and adds bytes: dotprod does; with AVX-512 AVX-512 VNNI does, and with AVX2 AVX-VNNI,
// which the set in use does not promise.
bool has_dot_products();

}  // namespace textnn::cpu
