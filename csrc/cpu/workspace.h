// Scratch memory of the kernels, kept between calls: fresh megabytes cost as many page faults as the arithmetic on
// them.
//
// A buffer goes back to a small pool of the process when its Workspace dies. The pool keeps at most kKept bytes in
// kSlots buffers and never blocks: a slot that another thread holds (or held, at a fork) is passed over, and a plain
// allocation takes its place. release_workspaces() gives everything back to the system.
#pragma once
#include <cstddef>
#include <cstdint>

namespace textnn::cpu {

class Workspace {
 public:
  explicit Workspace(size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // The next n values of T, 64-byte aligned, uninitialised.
  template <class T>
  T* take(int64_t n) {
    T* p = reinterpret_cast<T*>(next_);
    next_ += bytes<T>(n);
    return p;
  }
  // What take<T>(n) uses up.
  template <class T>
  static size_t bytes(int64_t n) {
    return (size_t(n) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  char* data_;
  char* next_;
  size_t size_;
};

void release_workspaces();

}  // namespace textnn::cpu
