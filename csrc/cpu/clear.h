// Zeros for a result of which few rows will be written: the dense gradient of an embedding table.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace textnn::cpu {

// From this size on a result would push everything else out of the caches. Zeros then go to memory past them,
// which is twice as fast as through them (87 against 42 GB/s on two cores of an AMD EPYC) and leaves them as they were.
constexpr int64_t kStreamedBytes = int64_t(8) << 20;

// streamed: whether the whole, of which this is a part, has at least kStreamedBytes.
inline void clear(void* memory, int64_t bytes, bool streamed) {
#if defined(__x86_64__)
  char* p = static_cast<char*>(memory);
  if (streamed && bytes >= 4096) {
    const int64_t head = int64_t(-reinterpret_cast<uintptr_t>(p) & 63), body = (bytes - head) / 64 * 64;
    std::memset(p, 0, head);
    p += head;
    const __m128i zero = _mm_setzero_si128();
    for (char* end = p + body; p < end; p += 64)
      for (int i = 0; i < 4; ++i) _mm_stream_si128(reinterpret_cast<__m128i*>(p) + i, zero);
    _mm_sfence();
    std::memset(p, 0, bytes - head - body);
    return;
  }
#endif
  (void)streamed;
  if (bytes > 0) std::memset(memory, 0, bytes);
}

}  // namespace textnn::cpu
