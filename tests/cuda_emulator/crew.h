// The OS threads that blocks run on. They outlive launches, since starting one takes longer than a small kernel.
#pragma once
#include <functional>

namespace cuemu {

// Calls work(0) on this thread and work(1) ... work(n - 1) on others, all at once; returns when all have returned.
// One call at a time.
void run_crew(int n, const std::function<void(int)>& work);

}  // namespace cuemu
