// Memory kept between calls: fresh megabytes cost as many page faults as the arithmetic on them.
//
// Kernels take their scratch from a Workspace; the operators take large results and what they keep for a backward pass
// as Buffers. Both go back to a small pool of the process when they are done with. The pool keeps at most kKept bytes
// in kSlots buffers (memory that has been written to; untouched pages cost nothing), gives away whatever has lain
// longest when it is full, and never blocks: a slot that another thread holds (or held, at a fork) is passed over, and
// a plain allocation takes its place. Large buffers lie in huge pages where the system has them. release_workspaces()
// gives everything back to the system.
#pragma once
#include <cstddef>
#include <cstdint>

namespace textnn::cpu {

struct Buffer {
  char* data;
  size_t size, used;  // used: how much of it has ever been written to, at most
};
// At least `bytes`, uninitialised, aligned to a cache line, of which no more than the first `used` will be written to;
// throws std::bad_alloc.
Buffer take_buffer(size_t bytes, size_t used);
void return_buffer(const Buffer& buffer) noexcept;

class Workspace {
 public:
  explicit Workspace(size_t bytes) : buffer_(take_buffer(bytes, bytes)), next_(buffer_.data) {}
  ~Workspace() { return_buffer(buffer_); }
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
  const Buffer buffer_;
  char* next_;
};

void release_workspaces();

}  // namespace textnn::cpu
