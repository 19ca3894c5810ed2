// Compiles math_kernels.h for each instruction set, as the kernels of csrc/cpu are compiled.
#include "vector_math.h"
#include <stdexcept>
#include <type_traits>
#include <utility>
#include "../../csrc/cpu/capability.h"
#include "../../csrc/cpu/flush_subnormals.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "math_kernels.h"
#include "../../csrc/cpu/foreach_isa.h"

template <class T>
void apply(const std::string& function, const T* x, T* y, int64_t n) {
  const FlushSubnormals flush;  // as in the kernels
  if (function == "exp") return TEXTNN_PICK(apply_exp<T>)(x, y, n);
  if (function == "sigmoid") return TEXTNN_PICK(apply_sigmoid<T>)(x, y, n);
  if (function == "tanh") return TEXTNN_PICK(apply_tanh<T>)(x, y, n);
  if (function == "relu") return TEXTNN_PICK(apply_relu<T>)(x, y, n);
  throw std::invalid_argument("no function is called '" + function + "'");
}

template void apply(const std::string&, const float*, float*, int64_t);
template void apply(const std::string&, const double*, double*, int64_t);

}  // namespace textnn::cpu
