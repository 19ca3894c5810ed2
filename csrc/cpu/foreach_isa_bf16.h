// The same as foreach_isa.h for kernels that multiply bfloat16 (precision.h), which have one more set: AVX512-BF16.
//
// TEXTNN_PICK_BFLOAT16(f) is the one to call now, of functions that do; TEXTNN_PICK(f) of all others.

#define TEXTNN_PAIRS 0
#include "foreach_isa.h"

#if defined(__x86_64__)
#undef TEXTNN_PAIRS
#define TEXTNN_PAIRS 1
#define TEXTNN_ISA avx512_bf16
#define TEXTNN_VECTOR_BYTES 64
#define TEXTNN_REGISTERS 32
#include "isa_push_bf16.h"
#include TEXTNN_KERNEL
#include "isa_pop.h"
#define TEXTNN_PICK_BFLOAT16(...) \
  (capability() >= Capability::kAvx512Bf16 ? &avx512_bf16::__VA_ARGS__ : TEXTNN_PICK(__VA_ARGS__))
#else
#define TEXTNN_PICK_BFLOAT16 TEXTNN_PICK
#endif
