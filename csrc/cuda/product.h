// Products of rows with weights:  c[m, n] = sum over k of a[row of m, k] * b[n, k]
//
// What cuBLAS does not offer: rows of a are gathered from a table while they are loaded, and how many there are is read
// from device memory, so that the distinct tokens of a batch need no synchronisation. Sums are kept and stored in what
// kernels compute in (element.h): halves are multiplied in tensor cores, added and stored in float32.
#pragma once
#include "element.h"

namespace textnn::cuda {

template <class E>
struct Product {
  int64_t M;             // rows of c, at most
  const int32_t* rows;   // [1] how many rows of c are wanted, or null: M. Those behind are neither read nor written
  int64_t N, K;          // below 2^23 and 2^31
  const E* a;            // row m at a + (index ? index[m] : m) * K
  const int64_t* index;  // [M], or null
  const E* b;            // [N, K]
  Compute<E>* c;         // [M, N]
  bool tf32;             // whether float32 may be rounded to TF32 for the tensor cores
};
template <class E>
void product(Stream stream, const Product<E>& args);

}  // namespace textnn::cuda
