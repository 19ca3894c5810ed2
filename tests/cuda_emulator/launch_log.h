// What was launched, for tests that ask how many launches an operation takes or how a launcher divides its work.
// Off until cuemu_log_enable(1); copies and memsets are entries too, with grids and blocks of zero.
#pragma once
#include <string>
#include <vector>
#include "runtime_api.h"

namespace cuemu {

struct LaunchRecord {
  std::string name;
  dim3 grid, block;
  size_t shared;  // bytes of dynamic shared memory; of a copy or memset, its bytes
  cudaStream_t stream;
  bool cooperative;
};

constexpr size_t kLogEntries = 100000;  // what comes after them is not recorded

std::vector<LaunchRecord>& launch_log();
void log_launch(const LaunchRecord& record);

}  // namespace cuemu

#define CUEMU_EXPORT extern "C" __attribute__((visibility("default")))
CUEMU_EXPORT void cuemu_log_enable(int on);
CUEMU_EXPORT void cuemu_log_clear();
CUEMU_EXPORT size_t cuemu_log_size();
// Entry i: its name into name[0..n), grid[3], block[3] and the rest; pointers may be null. Returns 0 where there is no
// entry i.
CUEMU_EXPORT int cuemu_log_entry(size_t i, char* name, size_t n, unsigned* grid, unsigned* block, size_t* shared,
                                 void** stream, int* cooperative);
