#include "workspace.h"
#include <atomic>
#include <cstdlib>
#include <initializer_list>
#include <new>

namespace textnn::cpu {
namespace {

constexpr int kSlots = 8;
constexpr size_t kKept = size_t(64) << 20;

struct Slot {
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  char* data = nullptr;
  size_t size = 0;
};
Slot slots[kSlots];
std::atomic<size_t> kept{0};

}  // namespace

Workspace::Workspace(size_t bytes) : data_(nullptr), size_(bytes) {
  for (Slot& slot : slots) {
    if (data_) break;
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    if (slot.data && slot.size >= bytes) {
      data_ = slot.data;
      size_ = slot.size;
      slot.data = nullptr;
      kept -= slot.size;
    }
    slot.busy.clear(std::memory_order_release);
  }
  if (!data_) {
    size_ = (bytes + 4095) / 4096 * 4096;
    data_ = static_cast<char*>(std::aligned_alloc(64, size_ ? size_ : 4096));
    if (!data_) throw std::bad_alloc();
  }
  next_ = data_;
}

Workspace::~Workspace() {
  // An empty slot takes the buffer; if there is none, a slot with a smaller buffer exchanges it.
  for (const bool exchange : {false, true}) {
    for (Slot& slot : slots) {
      if (!data_ || slot.busy.test_and_set(std::memory_order_acquire)) continue;
      const size_t before = slot.data ? slot.size : 0;
      const bool fits = kept - before + size_ <= kKept;
      if (fits && (exchange ? before < size_ : before == 0)) {
        char* old = slot.data;
        slot.data = data_;
        slot.size = size_;
        kept += size_ - before;
        data_ = nullptr;
        std::free(old);
      }
      slot.busy.clear(std::memory_order_release);
    }
  }
  std::free(data_);
}

void release_workspaces() {
  for (Slot& slot : slots) {
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    if (slot.data) kept -= slot.size;
    std::free(slot.data);
    slot.data = nullptr;
    slot.busy.clear(std::memory_order_release);
  }
}

}  // namespace textnn::cpu
