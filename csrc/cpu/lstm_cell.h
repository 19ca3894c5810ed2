// One step of the LSTM cell on pre-activated gates, element by element.
#pragma once
#include "parallel.h"

namespace textnn::cpu {

template <class T>
struct LstmCell {
  int64_t B, H;
  const T* gates;  // [B, 4H] pre-activations in the order i, f, g, o
  const T* c;      // [B, H]
  T* h;            // [B, H]
  T* c_next;       // [B, H]
};

template <class T>
struct LstmCellBackward {
  int64_t B, H;
  const T* dh;       // [B, H]
  const T* dc_next;  // [B, H]
  const T* gates;    // [B, 4H] pre-activations
  const T* c;        // [B, H]
  T* dgates;         // [B, 4H]
  T* dc;             // [B, H]
};

template <class T>
void lstm_cell(const ThreadPool& pool, const LstmCell<T>& args);
template <class T>
void lstm_cell_backward(const ThreadPool& pool, const LstmCellBackward<T>& args);

}  // namespace textnn::cpu
