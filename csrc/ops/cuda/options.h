// What torch is asked of in Python and its stable ABI does not tell: textnn/backends.py passes it on.
#pragma once

namespace textnn::ops::cuda {

// The form of the recurrence (cuda/recurrent.h).
enum class RecurrentForm { kAuto, kSteps, kPersistent };

struct Options {
  bool deterministic = false;                 // torch.use_deterministic_algorithms
  bool tf32 = false;                          // whether products of float32 may be made in TF32
  RecurrentForm form = RecurrentForm::kAuto;  // of a layer over time
};
Options& options();

}  // namespace textnn::ops::cuda
