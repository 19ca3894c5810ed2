// Which instruction set the kernels run with: the best that this CPU has, unless TEXTNN_CPU_CAPABILITY names another.
#pragma once
#include <string>

namespace textnn::cpu {

enum class Capability : int { kBase = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Bf16 = 3 };

// The set in use. Throws std::runtime_error if TEXTNN_CPU_CAPABILITY names one that is unknown or that this CPU lacks.
Capability capability();
const char* capability_name(Capability c);
// "base", "avx2", "avx512" or "avx512_bf16": every later call of a kernel uses it. Throws std::runtime_error like
// capability().
void set_capability(const std::string& name);
// Whether the CPU multiplies and adds bytes (AVX-512 VNNI), which kAvx512 does not promise.
bool has_dot_products();

}  // namespace textnn::cpu
