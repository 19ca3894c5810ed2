// One step of the LSTM cell on pre-activated gates, element by element (cpu/lstm_cell.h).
#pragma once
#include "element.h"

namespace textnn::cuda {

template <class E>
struct LstmCell {
  int64_t B, H;
  const E* gates;  // [B, 4H] pre-activations in the order i, f, g, o
  const E* c;      // [B, H]
  E* h;            // [B, H]
  E* c_next;       // [B, H]
};

template <class E>
struct LstmCellBackward {
  int64_t B, H;
  const E* dh;       // [B, H]
  const E* dc_next;  // [B, H]
  const E* gates;    // [B, 4H] pre-activations
  const E* c;        // [B, H]
  E* dgates;         // [B, 4H]
  E* dc;             // [B, H]
};

template <class E>
void lstm_cell(Stream stream, const LstmCell<E>& args);
template <class E>
void lstm_cell_backward(Stream stream, const LstmCellBackward<E>& args);

}  // namespace textnn::cuda
