// The vector mathematics of csrc/cpu/simd.h over an array.
#pragma once
#include <cstdint>
#include <string>

namespace textnn::cpu {

// y[0..n) = function(x[0..n)) with the instruction set in use; "exp", "sigmoid", "tanh" or "relu".
template <class T>
void apply(const std::string& function, const T* x, T* y, int64_t n);

}  // namespace textnn::cpu
