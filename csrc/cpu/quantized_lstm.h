// Inference with an LSTM whose products are made of 8-bit integers: weights that were rounded once, inputs and states
// that are rounded as they come (dynamic quantization). Four products an instruction where the CPU has such
// instructions (AVX-512 VNNI, AVX-VNNI, SDOT), and a quarter of the memory traffic.
//
//   w = scale * q,  q in -127 .. 127            for each row of W_ih and W_hh a scale
//   x = scale_x * (u - 128),  u in 1 .. 255     for each vector of the input a scale, its largest value / 127
//   h = (u - 128) / 127                         the output state lies within -1 .. 1
//
//   sum of x w = scale_x * scale * (sum of u q - 128 * sum of q)     the first sum exact in 32 bits, the last known
//
// Gates, cell state and outputs are float32 as ever.
#pragma once
#include "parallel.h"
#include "schedule.h"

namespace textnn::cpu {

// Units of a panel of weights, and bytes of a row that stand together: the same for every instruction set.
constexpr int64_t kQuantizedUnits = 16, kQuantizedGroup = 4;
constexpr int64_t quantized_panels(int64_t H) { return (H + kQuantizedUnits - 1) / kQuantizedUnits; }
constexpr int64_t quantized_groups(int64_t K) { return (K + kQuantizedGroup - 1) / kQuantizedGroup; }

struct QuantizedLstm {
  Schedule schedule;
  int64_t I, H;
  const float* x;  // (b, t) at x_layout, I contiguous values
  Layout x_layout;
  const float* h0;  // [B, H] in the caller's order
  const float* c0;  // [B, H]
  const int8_t*
      weight;          // [panels, groups of I + groups of H, 4 gates, 16 units, 4], zero behind I, H and the last unit
  const float* scale;  // [2, 4H] of the rows of W_ih and of W_hh
  const int32_t* sum;  // [2, 4H] of the integers of these rows
  const float* bias;   // [4H]
  float* y;            // (b, t) at y_layout, H contiguous values; null if only the final states are wanted
  Layout y_layout;
  float* h_n;  // [B, H] in the caller's order
  float* c_n;  // [B, H]
};

void quantized_lstm(const ThreadPool& pool, const QuantizedLstm& args);

}  // namespace textnn::cpu
