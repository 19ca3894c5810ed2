#include "options.h"
#include "tensors.h"

namespace textnn::ops::cuda {

#if defined(TEXTNN_CUDA_EMULATED)
Stream emulated_stream = nullptr;
bool emulated_sizes_on_device = false;
#endif

Options& options() {
  static Options o;
  return o;
}

namespace {
void set_cuda_options(bool deterministic, bool tf32, std::string recurrent) {
  STD_TORCH_CHECK(recurrent == "auto" || recurrent == "steps" || recurrent == "persistent",
                  "textnn: recurrent must be auto, steps or persistent, got ", recurrent);
  options() = {deterministic, tf32,
               recurrent == "steps"        ? RecurrentForm::kSteps
               : recurrent == "persistent" ? RecurrentForm::kPersistent
                                           : RecurrentForm::kAuto};
}
}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, CompositeExplicitAutograd, m) {
  m.impl("set_cuda_options", TORCH_BOX(&textnn::ops::cuda::set_cuda_options));
}

#if defined(TEXTNN_CUDA_EMULATED)
extern "C" __attribute__((visibility("default"))) void textnn_emulate(void* stream, int sizes_on_device) {
  textnn::ops::cuda::emulated_stream = stream;
  textnn::ops::cuda::emulated_sizes_on_device = sizes_on_device != 0;
}
#endif
