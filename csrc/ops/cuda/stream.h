// The current stream of a device, by whichever way the torch that runs offers.
#pragma once
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>
#include "../../cuda/element.h"
#include "../later_torch.h"

namespace textnn::ops::cuda {

// Before 2.13 only torch's CUDA library knows. It is looked up at the first call and not linked: this library also
// serves a torch without CUDA.
using StreamOfDevice = AOTITorchError (*)(int32_t device, void** result);
inline StreamOfDevice find_stream_of_device() {
  void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  void* function = library ? dlsym(library, "aoti_torch_get_current_cuda_stream") : nullptr;
  STD_TORCH_CHECK(function, "textnn: found no way to ask this torch for the current CUDA stream");
  return reinterpret_cast<StreamOfDevice>(function);
}

inline textnn::cuda::Stream current_stream(int32_t device) {
  void* result = nullptr;
  if (torch_stream_native_handle) {
    StreamHandle stream = nullptr;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_stream(device, &stream));
    const torch::stable::accelerator::Stream owner(stream);
    STABLE_TORCH_ERROR_CODE_CHECK(torch_stream_native_handle(stream, &result));
  } else {
    static const StreamOfDevice stream_of_device = find_stream_of_device();
    STABLE_TORCH_ERROR_CODE_CHECK(stream_of_device(device, &result));
  }
  return result;
}

}  // namespace textnn::ops::cuda
