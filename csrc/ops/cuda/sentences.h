// The sentences of a batch of tokens on the device, from sizes that the caller has on either side.
#pragma once
#include "../../cuda/sizes.h"
#include "../ragged.h"
#include "check_device.h"
#include "tensors.h"

namespace textnn::ops::cuda {

// int64 sizes on the device of `like`. From the CPU without a synchronisation.
inline Tensor sizes_on_device(const Device& device, const char* name, const Tensor& sizes, const Tensor& like) {
  STD_TORCH_CHECK(sizes.scalar_type() == ScalarType::Long && sizes.dim() == 1, "textnn: ", name,
                  " must be an int64 tensor of one dimension, got shape ", shape_of(sizes));
  const Tensor host = compact(sizes);
  if (!on_host(sizes)) {
    check_device(name, sizes, like);
    return host;
  }
  Tensor on_device = empty(like, {sizes.numel()}, ScalarType::Long);
  textnn::cuda::upload(device.stream, data<int64_t>(host), host.numel(), writable<int64_t>(on_device));
  return on_device;
}

// Of tokens [B, L, ...] with lengths, or [N, ...] with offsets.
struct SentenceBounds {
  int64_t B;
  Tensor start, length;  // int64 [B]

  SentenceBounds(const Device& device, const Tensor& tokens, bool flat, const OptionalTensor& sizes)
      : B(flat && sizes ? sizes->numel() : tokens.size(0)),
        start(empty(tokens, {B}, ScalarType::Long)),
        length(empty(tokens, {B}, ScalarType::Long)) {
    check_sentences(tokens, flat);
    STD_TORCH_CHECK(!flat || sizes.has_value(), "textnn: flat tokens need offsets");
    STD_TORCH_CHECK(!sizes || sizes->numel() == B, "textnn: lengths must have ", B, " elements");
    STD_TORCH_CHECK(!flat || B > 0 || tokens.size(0) == 0, "textnn: offsets must begin with 0");
    if (sizes && on_host(*sizes)) ops::SentenceBounds(tokens, flat, sizes);  // whose values can be looked at
    const OptionalTensor at = sizes ? OptionalTensor(sizes_on_device(device, "sizes", *sizes, tokens)) : std::nullopt;
    using textnn::cuda::Sizes;
    textnn::cuda::sentence_bounds(device.stream,
                                  {flat    ? Sizes::kOffsets
                                   : sizes ? Sizes::kLengths
                                           : Sizes::kNone,
                                   data<int64_t>(at), B, flat ? 0 : tokens.size(1), flat ? tokens.size(0) : 0,
                                   writable<int64_t>(start), writable<int64_t>(length)});
  }
  textnn::cuda::Sentences sentences() const { return {B, data<int64_t>(start), data<int64_t>(length)}; }
};

}  // namespace textnn::ops::cuda
