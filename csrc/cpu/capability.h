// Which instruction set the kernels run with: the best that this CPU has, unless TEXTNN_CPU_CAPABILITY names another.
#pragma once
#include <string>

// Whether the compiler knows AMX and AVX-VNNI.
#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 11)
#define TEXTNN_NEWER_INSTRUCTIONS 1
#else
#define TEXTNN_NEWER_INSTRUCTIONS 0
#endif

namespace textnn::cpu {

enum class Capability : int { kBase = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Bf16 = 3, kAmxBf16 = 4 };

// The set in use. Throws std::runtime_error if TEXTNN_CPU_CAPABILITY names one that is unknown or that this CPU lacks.
Capability capability();
const char* capability_name(Capability c);
// "base", "avx2", "avx512", "avx512_bf16" or "amx_bf16": every later call of a kernel uses it. Throws
// std::runtime_error like capability().
void set_capability(const std::string& name);
// Whether the CPU multiplies and adds bytes, which the set in use does not promise: with AVX-512 by AVX-512 VNNI, with
// AVX2 by AVX-VNNI.
bool has_dot_products();

}  // namespace textnn::cpu
