// The gradient of a table from those of the positions that looked it up, for every operator that starts from ids.
#pragma once
#include "../../cuda/embedding.h"
#include "tensors.h"

namespace textnn::ops::cuda {

struct TableGradient {
  Tensor dtable;    // [rows, D], or, sparse, [U, D]
  Tensor distinct;  // [U] int64: the ids that occur, rising; empty where not sparse
};

// Position n of some order looked up ids [N] int64 and has the gradient dy [N, D], both contiguous. Only a sparse
// gradient needs to know U on the CPU, and waits for the device.
TableGradient table_gradient(const Device& device, const Tensor& dy, const Tensor& ids, int64_t rows, int64_t padding,
                             bool sparse);

}  // namespace textnn::ops::cuda
