// The distinct tokens of a tensor of ids, checked.
#pragma once
#include "../cpu/distinct.h"
#include <algorithm>
#include "tensors.h"

namespace textnn::ops {

struct Distinct {
  int64_t N, U;
  std::vector<int64_t> id;
  std::vector<int32_t> token;

  // ids: any shape, contiguous.
  Distinct(const Tensor& ids, int64_t V) : N(ids.numel()) {
    check_dtype("ids", ids, ScalarType::Long);
    constexpr int64_t most = int64_t(1) << 62;  // of the rows of a table, whose bits are counted in words
    STD_TORCH_CHECK(V >= 0 && V < most, "textnn: a table must have between 0 and ", most, " rows, got ", V);
    STD_TORCH_CHECK(N < (int64_t(1) << 31), "textnn: a batch may have at most 2^31 - 1 tokens, got ", N);
    id.resize(size_t(std::min(N, V)));
    token.resize(size_t(N));
    const int64_t* p = N ? ids.const_data_ptr<int64_t>() : nullptr;
    U = cpu::find_distinct(p, N, V, id.data(), token.data());
    STD_TORCH_CHECK(U >= 0, "textnn: ids must lie in [0, ", V, "), got ", p[U < 0 ? -1 - U : 0], " at position ",
                    -1 - U);
  }
};

}  // namespace textnn::ops
