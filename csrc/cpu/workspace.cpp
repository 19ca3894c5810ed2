#include "workspace.h"
#include <algorithm>
#include <atomic>
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

struct Slot {
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  Buffer buffer{nullptr, 0, 0};
};
Slot slots[kSlots];
std::atomic<size_t> kept{0};
std::atomic<unsigned> hand{0};  // the next slot to be emptied when the pool is full

// f(slot) for each slot that nobody holds, until it returns true.
template <class F>
void for_free_slots(F&& f) {
  const unsigned first = hand.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < kSlots; ++i) {
    Slot& slot = slots[(first + i) % kSlots];
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    const bool done = f(slot);
    slot.busy.clear(std::memory_order_release);
    if (done) return;
  }
}

// A slot's buffer leaves the pool.
Buffer empty(Slot& slot) {
  kept -= slot.buffer.used;
  return std::exchange(slot.buffer, {nullptr, 0, 0});
}

// Sizes come in four steps an octave, so that batches of slightly different sizes share their buffers.
size_t rounded(size_t bytes) {
  size_t step = kPage;
  while (step * 8 < bytes) step *= 2;
  if (bytes >= kHugePage / 2) step = std::max(step, kHugePage);
  return std::max(step, (bytes + step - 1) / step * step);
}

Buffer allocate(size_t bytes) {
  const size_t size = rounded(bytes), page = size % kHugePage == 0 ? kHugePage : kPage;
  void* data = std::aligned_alloc(page, size);
  if (!data) throw std::bad_alloc();
#if defined(__linux__)
  if (page == kHugePage) madvise(data, size, MADV_HUGEPAGE);
#endif
  return {static_cast<char*>(data), size, 0};
}

}  // namespace

Buffer take_buffer(size_t bytes, size_t used) {
  // The smallest that is large enough, but none that would mostly be wasted.
  const size_t most = 2 * rounded(bytes);
  size_t best = most + 1;
  for_free_slots([&](Slot& slot) {
    const size_t size = slot.buffer.size;
    if (slot.buffer.data && size >= bytes) best = std::min(best, size);
    return best == rounded(bytes);
  });
  Buffer found{nullptr, 0, 0};
  if (best <= most) {
    for_free_slots([&](Slot& slot) {
      if (slot.buffer.size == best && slot.buffer.data) found = empty(slot);
      return found.data != nullptr;
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
      for_free_slots([&](Slot& slot) {
        if (slot.buffer.data) return false;
        slot.buffer = std::exchange(in, {nullptr, 0, 0});
        kept += slot.buffer.used;
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
