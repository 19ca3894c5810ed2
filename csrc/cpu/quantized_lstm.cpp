#include "quantized_lstm.h"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include "../math/lstm.h"
#include "cache.h"
#include "capability.h"
#include "team_size.h"
#include "workspace.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace textnn::cpu {

#define TEXTNN_DOT_PRODUCTS 0
#define TEXTNN_KERNEL "quantized_lstm_kernels.h"
#include "foreach_isa.h"

#if defined(__x86_64__)
#undef TEXTNN_DOT_PRODUCTS
#define TEXTNN_DOT_PRODUCTS 1
#if TEXTNN_NEWER_INSTRUCTIONS
#define TEXTNN_ISA avx_vnni
#define TEXTNN_VECTOR_BYTES 32
#define TEXTNN_REGISTERS 16
#include "isa_push_avx_vnni.h"
#include TEXTNN_KERNEL
#include "isa_pop.h"
#undef TEXTNN_ISA
#undef TEXTNN_VECTOR_BYTES
#undef TEXTNN_REGISTERS
#endif

#define TEXTNN_ISA avx512_vnni
#define TEXTNN_VECTOR_BYTES 64
#define TEXTNN_REGISTERS 32
#include "isa_push_vnni.h"
#include TEXTNN_KERNEL
#include "isa_pop.h"
#elif defined(__aarch64__)
#undef TEXTNN_DOT_PRODUCTS
#define TEXTNN_DOT_PRODUCTS 1
#define TEXTNN_ISA dotprod
#define TEXTNN_VECTOR_BYTES 16
#define TEXTNN_REGISTERS 32
#include "isa_push_dotprod.h"
#include TEXTNN_KERNEL
#include "isa_pop.h"
#endif

void quantized_lstm(const ThreadPool& pool, const QuantizedLstm& args) {
#if defined(__x86_64__)
  if (has_dot_products() && capability() >= Capability::kAvx512) return avx512_vnni::quantized_lstm(pool, args);
#elif defined(__aarch64__)
  if (has_dot_products()) return dotprod::quantized_lstm(pool, args);
#endif
#if TEXTNN_NEWER_INSTRUCTIONS
  if (has_dot_products()) return avx_vnni::quantized_lstm(pool, args);
#endif
  TEXTNN_PICK(quantized_lstm)(pool, args);
}

}  // namespace textnn::cpu
