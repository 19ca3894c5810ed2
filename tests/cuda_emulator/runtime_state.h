// What the runtime's side tells the launcher.
#pragma once
#include "launching.h"

namespace cuemu {

// Whether the device would take this launch.
cudaError_t check_launch(const LaunchConfig& config);
// Leaves an error for cudaGetLastError and returns it.
cudaError_t set_last_error(cudaError_t error);

}  // namespace cuemu
