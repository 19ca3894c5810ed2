// Comes before every kernel source in the sanitized build (-include) and puts another class in the place of Workspace.
//
// The real one hands out parts of one buffer, rounded up and kept between calls, where an overrun ends in memory that
// is somebody's. Here every part is an allocation of its exact size, so that the sanitizer sees the first byte beyond
// it, and holds NaNs, so that reading what was never written shows in the results. Taking more than was asked for ends
// the program.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>
#include "../../csrc/cpu/workspace.h"

namespace textnn::cpu {

class CheckedWorkspace {
 public:
  explicit CheckedWorkspace(size_t bytes) : left_(bytes) {}
  ~CheckedWorkspace() {
    for (void* part : parts_) std::free(part);
  }
  CheckedWorkspace(const CheckedWorkspace&) = delete;
  CheckedWorkspace& operator=(const CheckedWorkspace&) = delete;

  template <class T>
  T* take(int64_t n) {
    if (n < 0 || bytes<T>(n) > left_) {
      std::fprintf(stderr, "a kernel takes more of its workspace than it asked for\n");
      std::abort();
    }
    left_ -= bytes<T>(n);
    void* p = nullptr;
    if (posix_memalign(&p, 64, size_t(n) * sizeof(T))) throw std::bad_alloc();
    std::memset(p, 0xff, size_t(n) * sizeof(T));
    parts_.push_back(p);
    return static_cast<T*>(p);
  }
  template <class T>
  static size_t bytes(int64_t n) {
    return Workspace::bytes<T>(n);
  }

 private:
  size_t left_;
  std::vector<void*> parts_;
};

}  // namespace textnn::cpu

#define Workspace CheckedWorkspace
