// textnn::hash_ngrams. Integers: no gradients.
#include "ngrams.h"
#include "../cpu/ngrams.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

Tensor hash_ngrams(const Tensor& ids_, std::vector<int64_t> ngrams, int64_t buckets, const OptionalTensor& sizes,
                   bool flat, bool distinct) {
  const math::NgramSizes s = check_ngrams(ids_, ngrams, buckets, flat);
  const Tensor ids = compact(ids_);
  const SentenceBounds bounds(ids, flat, sizes);
  const int64_t N = ids.numel();
  const int64_t* id = N ? ids.const_data_ptr<int64_t>() : nullptr;
  int64_t sign = 0;
  for (int64_t n = 0; n < N; ++n) sign |= id[n];
  for (int64_t n = 0; sign < 0 && n < N; ++n)
    STD_TORCH_CHECK(id[n] >= 0, "textnn: ids must be at least 0, got ", id[n], " at position ", n);
  Tensor y = pooled(ids, with_last(ids, s.count));
  cpu::hash_ngrams(torch_threads(), {bounds.sentences(), N, s, buckets, distinct, id, writable<int64_t>(y)});
  return y;
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) { m.impl("hash_ngrams", TORCH_BOX(&textnn::ops::hash_ngrams)); }
