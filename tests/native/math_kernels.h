// The functions of simd.h over an array, for one instruction set (included through foreach_isa.h).
#include "../../csrc/cpu/simd.h"

namespace TEXTNN_ISA {

template <class T>
void apply_exp(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(y + i, VectorMath<T>::exp(load(x + i, n - i)), n - i);
}

template <class T>
void apply_sigmoid(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(y + i, VectorMath<T>::sigmoid(load(x + i, n - i)), n - i);
}

template <class T>
void apply_tanh(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(y + i, VectorMath<T>::tanh(load(x + i, n - i)), n - i);
}

template <class T>
void apply_relu(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(y + i, VectorMath<T>::relu(load(x + i, n - i)), n - i);
}

}  // namespace TEXTNN_ISA
