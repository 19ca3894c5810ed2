#include "workspace.h"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace textnn::cpu {
namespace {

constexpr int kSlots = 32;
constexpr size_t kKept = size_t(512) << 20;
constexpr size_t kPage = 4096, kHugePage = size_t(2) << 20;

// Slots are looked at without being held: two threads that took hold of all of them, for a scratch of some kilobytes
// each time, would mostly wait for each other's cache lines.
struct alignas(64) Slot {
  std::atomic<size_t> size{0};  // of the buffer, 0 without one
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  Buffer buffer{nullptr, 0, 0};
};
Slot slots[kSlots];
std::atomic<size_t> kept{0};
std::atomic<unsigned> hand{0};  // the next slot to be emptied when the pool is full

// f(slot) for each slot with this size that nobody holds, until it returns true; first those at the hand.
template <class F>
void for_free_slots(size_t size, F&& f) {
  const unsigned first = hand.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < kSlots; ++i) {
    Slot& slot = slots[(first + i) % kSlots];
    if (slot.size.load(std::memory_order_relaxed) != size) continue;
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    const bool done = slot.buffer.size == size && f(slot);
    slot.busy.clear(std::memory_order_release);
    if (done) return;
  }
}

// What a slot that this thread holds gives and takes.
Buffer exchange(Slot& slot, const Buffer& in) {
  slot.size.store(in.size, std::memory_order_relaxed);
  kept += in.used - slot.buffer.used;
  return std::exchange(slot.buffer, in);
}
Buffer empty(Slot& slot) { return exchange(slot, {nullptr, 0, 0}); }

// Sizes come in four steps an octave, so that batches of slightly different sizes share their buffers.
size_t rounded(size_t bytes) {
  size_t step = kPage;
  while (step * 8 < bytes) step *= 2;
  if (bytes >= kHugePage / 2) step = std::max(step, kHugePage);
  return std::max(step, (bytes + step - 1) / step * step);
}

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t bytes) {
    std::snprintf(text_, sizeof text_, "textnn: not enough memory for a buffer of %zu bytes", bytes);
  }
  const char* what() const noexcept override { return text_; }

 private:
  char text_[80];
};

Buffer allocate(size_t bytes) {
  const size_t size = rounded(bytes), page = size % kHugePage == 0 ? kHugePage : kPage;
  void* data = std::aligned_alloc(page, size);
  if (!data) throw OutOfMemory(size);
#if defined(__linux__)
  if (page == kHugePage) madvise(data, size, MADV_HUGEPAGE);
#endif
  return {static_cast<char*>(data), size, 0};
}

}  // namespace

Buffer take_buffer(size_t bytes, size_t used) {
  // The smallest that is large enough, but none that would mostly be wasted.
  const size_t wanted = rounded(bytes), most = 2 * wanted;
  size_t best = most + 1;
  for (const Slot& slot : slots) {
    const size_t size = slot.size.load(std::memory_order_relaxed);
    if (size >= wanted) best = std::min(best, size);
  }
  Buffer found{nullptr, 0, 0};
  if (best <= most) {
    for_free_slots(best, [&](Slot& slot) {
      found = empty(slot);
      return true;
    });
  }
  if (!found.data) found = allocate(bytes);
  found.used = std::max(found.used, std::min(found.size, rounded(used)));
  return found;
}

void return_buffer(const Buffer& buffer) noexcept {
  Buffer in = buffer;
  for (int attempt = 0; in.used <= kKept && in.data && attempt <= kSlots; ++attempt) {
    if (kept + in.used <= kKept) {
      for_free_slots(0, [&](Slot& slot) {
        exchange(slot, in);
        in.data = nullptr;
        return true;
      });
      if (!in.data) return;
    }
    Slot& oldest = slots[hand.fetch_add(1, std::memory_order_relaxed) % kSlots];
    if (oldest.busy.test_and_set(std::memory_order_acquire)) continue;
    if (oldest.buffer.data) std::free(empty(oldest).data);
    oldest.busy.clear(std::memory_order_release);
  }
  std::free(in.data);
}

void release_workspaces() {
  for (Slot& slot : slots) {
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    if (slot.buffer.data) std::free(empty(slot).data);
    slot.busy.clear(std::memory_order_release);
  }
}

}  // namespace textnn::cpu
