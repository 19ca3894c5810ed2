// textnn::frozen_text_conv on CUDA: from token ids and a table of products to features. No gradients.
#include "../../cuda/frozen_text_conv.h"
#include "../frozen_text_conv.h"
#include "check_device.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

// Whose elements are read 16 bytes at a time. A tensor of torch's own allocator is; a view into one may not be.
Tensor aligned(const Tensor& t_) {
  const Tensor t = compact(t_);
  return reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 ? torch::stable::clone(t) : t;
}
OptionalTensor aligned(const OptionalTensor& t) { return t ? OptionalTensor(aligned(*t)) : std::nullopt; }

Tensor frozen_text_conv(const Tensor& ids_, const Tensor& table_, const OptionalTensor& scale_, const Tensor& bias_,
                        std::vector<int64_t> kernel_sizes, const OptionalTensor& row_, const OptionalTensor& rest_,
                        const OptionalTensor& weight_, const OptionalTensor& sizes, bool flat, bool same,
                        int64_t activation) {
  const Device device(table_);
  const cpu::TextConvKernelSizes k = check_frozen_sizes(ids_, bias_, kernel_sizes, flat, same, activation);
  const FrozenArguments a{compact(ids_), aligned(table_), compact(scale_), compact(bias_),
                          compact(row_), compact(rest_),  aligned(weight_)};
  check_device("ids", a.ids, a.table);
  check_device("bias", a.bias, a.table);
  check_device("scale", a.scale, a.table);
  check_device("row", a.row, a.table);
  check_device("rest", a.rest, a.table);
  check_device("weight", a.weight, a.table);
  const SentenceBounds bounds(device, a.ids, flat, sizes);
  Tensor y = empty(a.bias, {bounds.B, k.S * k.C});
  dispatch_elements(a.table, [&](auto zero) {
    using E = decltype(zero);
    using T = typename textnn::cuda::Frozen<E>::Result;
    check_frozen_tensors<E>(a, k);
    const int64_t N = a.ids.numel(), R = a.table.size(0), rows = R + (a.rest ? a.rest->size(0) : 0);
    Tensor at = a.row ? empty(a.ids, {N}) : a.ids;
    textnn::cuda::frozen_rows(device.stream, {N, a.row ? a.row->numel() : rows, rows, data<int64_t>(a.ids),
                                              data<int64_t>(a.row), a.row ? writable<int64_t>(at) : nullptr});
    const bool rest = a.rest && a.rest->size(0) > 0;
    textnn::cuda::frozen_text_conv<E>(
        device.stream, {bounds.sentences(), k.S, k.C, rest ? a.rest->size(1) : 0, k.taps, k.same, k.activation,
                        cpu::frozen_width<E>(k.C), R, data<int64_t>(at), data<E>(a.table), rest, data<T>(a.rest),
                        data<T>(a.weight), data<T>(a.scale), data<T>(a.bias), writable<T>(y)});
  });
  return y;
}

// There is nothing to ask for: a GPU's memory has large pages.
void advise_huge_pages(const Tensor&) {}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("frozen_text_conv", TORCH_BOX(&textnn::ops::cuda::frozen_text_conv));
  m.impl("advise_huge_pages", TORCH_BOX(&textnn::ops::cuda::advise_huge_pages));
}
