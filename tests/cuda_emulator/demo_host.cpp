// Host code beside the kernels: launches of several threads at once, and thread-local variables that are not shared
// memory.
#include <atomic>
#include <thread>
#include <vector>
#include "demo.h"

DEMO int demo_reduce(const float* x, int n, float* sum, int grid, int block);

namespace {
thread_local int remembered = 42;
thread_local int zero;
}  // namespace

// The number of launches that gave another sum, or left this thread's variables changed.
DEMO int demo_reduce_in_threads(const float* x, int n, float sum, int threads, int rounds) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&] {
      for (int r = 0; r < rounds; ++r) {
        float result = 0;
        if (demo_reduce(x, n, &result, 3, 128) || result != sum || remembered != 42 || zero != 0) ++wrong;
      }
    });
  for (std::thread& thread : all) thread.join();
  return wrong;
}
