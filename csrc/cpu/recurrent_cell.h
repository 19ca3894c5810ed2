// One step of any cell of math/cells.h from its two matrix products on, element by element. H hidden size, G blocks of
// H sums in each product (LSTM 4, GRU 3, Elman 1), in the order of torch.nn's weights.
#pragma once
#include "parallel.h"

namespace textnn::cpu {

template <class T>
struct RecurrentCell {
  int64_t B, H;
  const T* input_gates;   // [B, GH] W_ih x + b_ih
  const T* hidden_gates;  // [B, GH] W_hh h + b_hh, or null where the sums of both are in input_gates
  const T* h;             // [B, H] of cells that read their own state, else null
  const T* c;             // [B, H] of cells that have a cell state, else null
  T* h_next;              // [B, H]
  T* c_next;              // [B, H], or null as c
};

template <class T>
struct RecurrentCellBackward {
  int64_t B, H;
  const T* dh_next;       // [B, H] or null
  const T* dc_next;       // [B, H] or null
  const T* input_gates;   // as in the forward pass
  const T* hidden_gates;  //
  const T* h;             //
  const T* c;             //
  T* dinput_gates;        // [B, GH]
  T* dhidden_gates;       // [B, GH]; null for cells whose products add to the same sums: it equals dinput_gates
  T* dh;                  // [B, H] what does not go through hidden_gates, or null as h
  T* dc;                  // [B, H], or null as c
};

template <class Cell, class T>
void recurrent_cell(const ThreadPool& pool, const RecurrentCell<T>& args);
template <class Cell, class T>
void recurrent_cell_backward(const ThreadPool& pool, const RecurrentCellBackward<T>& args);

}  // namespace textnn::cpu
