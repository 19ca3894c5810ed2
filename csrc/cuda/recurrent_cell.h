// One step of any cell of math/cells.h from its two matrix products on, element by element (cpu/recurrent_cell.h).
#pragma once
#include "../math/cells.h"
#include "element.h"

namespace textnn::cuda {

template <class E>
struct RecurrentCell {
  int64_t B, H;
  const E* input_gates;   // [B, GH] W_ih x + b_ih
  const E* hidden_gates;  // [B, GH] W_hh h + b_hh, or null where the sums of both are in input_gates
  const E* h;             // [B, H] of cells that read their own state, else null
  const E* c;             // [B, H] of cells that have a cell state, else null
  E* h_next;              // [B, H]
  E* c_next;              // [B, H], or null as c
};

template <class E>
struct RecurrentCellBackward {
  int64_t B, H;
  const E* dh_next;       // [B, H] or null
  const E* dc_next;       // [B, H] or null
  const E* input_gates;   // as in the forward pass
  const E* hidden_gates;  //
  const E* h;             //
  const E* c;             //
  E* dinput_gates;        // [B, GH]
  E* dhidden_gates;       // [B, GH]; null for cells whose products add to the same sums: it equals dinput_gates
  E* dh;                  // [B, H] what does not go through hidden_gates, or null as h
  E* dc;                  // [B, H], or null as c
};

template <class Cell, class E>
void recurrent_cell(Stream stream, const RecurrentCell<E>& args);
template <class Cell, class E>
void recurrent_cell_backward(Stream stream, const RecurrentCellBackward<E>& args);

}  // namespace textnn::cuda
