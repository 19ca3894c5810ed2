// textnn::hash_ngrams on CUDA.
#include "../../cuda/ngrams.h"
#include "../ngrams.h"
#include "check_device.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

Tensor hash_ngrams(const Tensor& ids_, std::vector<int64_t> ngrams, int64_t buckets, const OptionalTensor& sizes,
                   bool flat, bool distinct) {
  const Device device(ids_);
  const math::NgramSizes s = check_ngrams(ids_, ngrams, buckets, flat);
  const Tensor ids = compact(ids_);
  const SentenceBounds bounds(device, ids, flat, sizes);
  Tensor y = empty(ids, with_last(ids, s.count));
  textnn::cuda::hash_ngrams(device.stream,
                            {bounds.sentences(), ids.numel(), s, buckets, data<int64_t>(ids), writable<int64_t>(y)});
  if (!distinct) return y;
  Tensor first = empty(ids, with_last(ids, s.count));
  textnn::cuda::drop_repeats(device.stream,
                             {bounds.sentences(), ids.numel(), s.count, data<int64_t>(y), writable<int64_t>(first)});
  return first;
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("hash_ngrams", TORCH_BOX(&textnn::ops::cuda::hash_ngrams));
}
