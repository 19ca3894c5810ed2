// The same as foreach_isa_bf16.h for kernels that multiply bfloat16 in tiles where the CPU has them (tiles.h): AMX is
// one more set.
//
// TEXTNN_PICK_TILES(f) is the one to call now, of functions that multiply bfloat16.

#define TEXTNN_TILES 0
#include "foreach_isa_bf16.h"

#if TEXTNN_NEWER_INSTRUCTIONS
#undef TEXTNN_TILES
#define TEXTNN_TILES 1
#undef TEXTNN_ISA
#undef TEXTNN_VECTOR_BYTES
#undef TEXTNN_REGISTERS
#define TEXTNN_ISA amx_bf16
#define TEXTNN_VECTOR_BYTES 64
#define TEXTNN_REGISTERS 32
#include "isa_push_amx.h"
#include TEXTNN_KERNEL
#include "isa_pop.h"
#define TEXTNN_PICK_TILES(...) \
  (capability() == Capability::kAmxBf16 ? &amx_bf16::__VA_ARGS__ : TEXTNN_PICK_BFLOAT16(__VA_ARGS__))
#else
#define TEXTNN_PICK_TILES TEXTNN_PICK_BFLOAT16
#endif
