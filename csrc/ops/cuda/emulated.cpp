// What the emulator in tests/cuda_emulator tells the operators: the current stream, and whether sizes are on the
// device.
#if defined(TEXTNN_CUDA_EMULATED)
#include "tensors.h"

namespace textnn::ops::cuda {
Stream emulated_stream = nullptr;
bool emulated_sizes_on_device = false;
}  // namespace textnn::ops::cuda

extern "C" __attribute__((visibility("default"))) void textnn_emulate(void* stream, int sizes_on_device) {
  textnn::ops::cuda::emulated_stream = stream;
  textnn::ops::cuda::emulated_sizes_on_device = sizes_on_device != 0;
}
#endif
