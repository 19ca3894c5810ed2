// The distinct tokens of a tensor of ids, on its device.
#pragma once
#include "../../cuda/distinct.h"
#include <algorithm>
#include "tensors.h"

namespace textnn::ops::cuda {

inline void check_number_of(const Tensor& ids) {
  check_dtype("ids", ids, ScalarType::Long);
  STD_TORCH_CHECK(ids.numel() < (int64_t(1) << 31), "textnn: a batch may have at most 2^31 - 1 tokens, got ",
                  ids.numel());
}

struct Distinct {
  int64_t N, most;  // tokens; how many distinct ones there may be
  Tensor token;     // int32 [N] which distinct token stands at each position
  Tensor id;        // int64 [most], rising
  Tensor count;     // int32 [1] how many there are

  // ids: any shape, contiguous.
  Distinct(const Device& device, const Tensor& ids, int64_t V)
      : N(ids.numel()),
        most(std::min(N, V)),
        token(empty(ids, {N}, ScalarType::Int)),
        id(empty(ids, {most}, ScalarType::Long)),
        count(empty(ids, {1}, ScalarType::Int)) {
    check_number_of(ids);
    Tensor scratch = empty(ids, {textnn::cuda::distinct_scratch(V)}, ScalarType::Int);
    textnn::cuda::distinct_tokens(device.stream,
                                  {N, V, data<int64_t>(ids), writable<int32_t>(scratch), writable<int32_t>(token),
                                   writable<int64_t>(id), writable<int32_t>(count)});
  }
};

}  // namespace textnn::ops::cuda
