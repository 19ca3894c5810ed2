// Compiles one kernel source for every instruction set, each into a namespace of its own.
//
//   #define TEXTNN_KERNEL "recurrent_kernels.h"
//   #include "foreach_isa.h"
//
// leaves base::f, avx2::f and avx512::f for each f of recurrent_kernels.h; TEXTNN_PICK(f) is the one to call now. The
// kernel source has no include guard and includes nothing but other per-set headers: standard headers come before,
// outside the target pragmas. TEXTNN_VECTOR_BYTES is the width of a vector, TEXTNN_REGISTERS the number of vector
// registers.

#define TEXTNN_ISA base
#define TEXTNN_VECTOR_BYTES 16
#if defined(__x86_64__)
#define TEXTNN_REGISTERS 16
#else
#define TEXTNN_REGISTERS 32
#endif
#include TEXTNN_KERNEL
#undef TEXTNN_ISA
#undef TEXTNN_VECTOR_BYTES
#undef TEXTNN_REGISTERS

#if defined(__x86_64__) && !defined(TEXTNN_EMULATED_INSTRUCTIONS)  // of tests of other instructions
#include "isa_push_avx2.h"
#define TEXTNN_ISA avx2
#define TEXTNN_VECTOR_BYTES 32
#define TEXTNN_REGISTERS 16
#include TEXTNN_KERNEL
#undef TEXTNN_ISA
#undef TEXTNN_VECTOR_BYTES
#undef TEXTNN_REGISTERS
#include "isa_pop.h"

#include "isa_push_avx512.h"
#define TEXTNN_ISA avx512
#define TEXTNN_VECTOR_BYTES 64
#define TEXTNN_REGISTERS 32
#include TEXTNN_KERNEL
#undef TEXTNN_ISA
#undef TEXTNN_VECTOR_BYTES
#undef TEXTNN_REGISTERS
#include "isa_pop.h"

#define TEXTNN_PICK(...)                                      \
  (capability() >= Capability::kAvx512 ? &avx512::__VA_ARGS__ \
   : capability() == Capability::kAvx2 ? &avx2::__VA_ARGS__   \
                                       : &base::__VA_ARGS__)
#else
#define TEXTNN_PICK(...) (&base::__VA_ARGS__)
#endif
