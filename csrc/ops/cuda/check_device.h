// Where the tensors of a call are.
#pragma once
#include "../tensors.h"

namespace textnn::ops::cuda {

// All tensors of a call must be where its first one is: a kernel would read the memory of another device.
inline void check_device(const char* name, const Tensor& t, const Tensor& like) {
  STD_TORCH_CHECK(t.is_cuda() == like.is_cuda() && t.get_device_index() == like.get_device_index(), "textnn: ", name,
                  " must be on the device of the other arguments");
}
inline void check_device(const char* name, const OptionalTensor& t, const Tensor& like) {
  if (t) check_device(name, *t, like);
}

}  // namespace textnn::ops::cuda
