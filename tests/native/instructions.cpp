// Instructions of the CPU beside the plain C++ that stands for them in tests (emulated_instructions.h): result = what
// an instruction makes of sum, a and b, as bit patterns in int32; "emulated" says which of both makes it.
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "../../csrc/cpu/capability.h"
#include "arrays.h"

namespace textnn::native {
namespace {

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) void bfloat16_pairs(const int32_t* sum, const int32_t* a,
                                                                  const int32_t* b, int32_t* result) {
  const __m512 made =
      _mm512_dpbf16_ps(_mm512_loadu_ps(sum), (__m512bh)_mm512_loadu_si512(a), (__m512bh)_mm512_loadu_si512(b));
  _mm512_storeu_ps(result, made);
}
__attribute__((target("avx512f,avx512bf16"))) void bfloat16(const int32_t* sum, const int32_t*, const int32_t*,
                                                            int32_t* result) {
  const auto made = (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(sum));
  _mm512_storeu_si512(result, _mm512_cvtepu16_epi32(made));
}
__attribute__((target("avx512f,avx512vnni"))) void bytes(const int32_t* sum, const int32_t* a, const int32_t* b,
                                                         int32_t* result) {
  _mm512_storeu_si512(result,
                      _mm512_dpbusd_epi32(_mm512_loadu_si512(sum), _mm512_loadu_si512(a), _mm512_loadu_si512(b)));
}

struct alignas(64) Shapes {
  uint8_t palette = 1, zero[15] = {};
  uint16_t row_bytes[16] = {64, 64, 64};
  uint8_t rows[16] = {16, 16, 16};
};
constexpr Shapes kShapes;

#if TEXTNN_NEWER_INSTRUCTIONS
// The system has given the tiles where amx_bf16 is among the sets that it supports.
__attribute__((target("amx-tile,amx-bf16"))) void tiles(const int32_t* sum, const int32_t* a, const int32_t* b,
                                                        int32_t* result) {
  _tile_loadconfig(&kShapes);
  __asm__ volatile("" ::: "memory");
  _tile_loadd(0, sum, 64);
  _tile_loadd(1, a, 64);
  _tile_loadd(2, b, 64);
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, result, 64);
  _tile_release();
}
#endif
#endif

}  // namespace
}  // namespace textnn::native

#if defined(__x86_64__)
#undef _mm512_maskz_roundscale_ps  // macros where GCC does not optimise
#undef _mm512_maskz_reduce_ps
#include "emulated_instructions.h"

namespace textnn::native {
namespace {

void plain_bfloat16_pairs(const int32_t* sum, const int32_t* a, const int32_t* b, int32_t* result) {
  textnn_emulated::Floats floats;
  textnn_emulated::Pairs first, second;
  std::memcpy(&floats, sum, sizeof floats);
  std::memcpy(&first, a, sizeof first);
  std::memcpy(&second, b, sizeof second);
  floats = textnn_emulated::dpbf16_ps(floats, first, second);
  std::memcpy(result, &floats, sizeof floats);
}
void plain_bfloat16(const int32_t* sum, const int32_t*, const int32_t*, int32_t* result) {
  textnn_emulated::Floats floats;
  std::memcpy(&floats, sum, sizeof floats);
  const textnn_emulated::Halves halves = textnn_emulated::cvtneps_pbh(floats);
  for (int i = 0; i < 16; ++i) result[i] = halves[i];
}
void plain_bytes(const int32_t* sum, const int32_t* a, const int32_t* b, int32_t* result) {
  textnn_emulated::Ints sums, first, second;
  std::memcpy(&sums, sum, sizeof sums);
  std::memcpy(&first, a, sizeof first);
  std::memcpy(&second, b, sizeof second);
  sums = textnn_emulated::dpbusd(sums, first, second);
  std::memcpy(result, &sums, sizeof sums);
}
void plain_tiles(const int32_t* sum, const int32_t* a, const int32_t* b, int32_t* result) {
  _tile_loadconfig(&kShapes);
  _tile_loadd(0, sum, 64);
  _tile_loadd(1, a, 64);
  _tile_loadd(2, b, 64);
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, result, 64);
  _tile_release();
}

// `real` and its stand-in over all operands, `values` at a time.
using Instruction = void(const int32_t* sum, const int32_t* a, const int32_t* b, int32_t* result);
void each(const Arguments& arguments, int64_t values, Instruction* real, Instruction* plain) {
  const int64_t n = arguments.count("result");
  const auto *sum = arguments.array<const int32_t>("sum", n), *a = arguments.array<const int32_t>("a", n),
             *b = arguments.array<const int32_t>("b", n);
  int32_t* result = arguments.array<int32_t>("result", n);
  Instruction* chosen = arguments.size("emulated") ? plain : real;
  for (int64_t i = 0; i + values <= n; i += values) chosen(sum + i, a + i, b + i, result + i);
}

}  // namespace

void instruction_bfloat16_pairs(const cpu::ThreadPool&, const Arguments& a) {
  each(a, 16, bfloat16_pairs, plain_bfloat16_pairs);
}
void instruction_bfloat16(const cpu::ThreadPool&, const Arguments& a) { each(a, 16, bfloat16, plain_bfloat16); }
void instruction_bytes(const cpu::ThreadPool&, const Arguments& a) { each(a, 16, bytes, plain_bytes); }
void instruction_tiles(const cpu::ThreadPool&, const Arguments& a) {
#if TEXTNN_NEWER_INSTRUCTIONS
  each(a, 256, tiles, plain_tiles);
#else
  each(a, 256, plain_tiles, plain_tiles);
#endif
}

}  // namespace textnn::native
#endif
