#include "fibers.h"
#include <sys/mman.h>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#if !defined(__x86_64__)
#error "the emulator switches fibers on x86-64 only"
#endif
// The registers that a function must preserve; the modes of the floating-point unit are the same in all fibers.
asm(R"(
.text
.globl cuemu_switch
.hidden cuemu_switch
.type cuemu_switch, @function
cuemu_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size cuemu_switch, . - cuemu_switch
)");

namespace cuemu {
namespace {

// Eight multiprocessors full of threads. Each slot is two mappings, of which Linux allows a process 65530.
constexpr size_t kSlots = 26624;
constexpr uint64_t kWatched = 0xC0DEC0DEC0DEC0DE;

std::mutex mutex;
char* range = nullptr;
size_t slots = 0;  // in use so far
std::vector<char*>& free_stacks() {
  static auto* stacks = new std::vector<char*>;  // OS threads may outlive static objects
  return *stacks;
}

uint64_t* watched(const char* stack) {
  return reinterpret_cast<uint64_t*>(const_cast<char*>(stack) + kStackGuard + kStackSpare);
}

}  // namespace

char* take_stack() {
  const std::lock_guard<std::mutex> lock(mutex);
  auto& free = free_stacks();
  if (!free.empty()) {
    char* stack = free.back();
    free.pop_back();
    return stack;
  }
  if (!range) {
    void* p = mmap(nullptr, kSlots * kStackSlot, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::runtime_error("the emulator has no address space for the threads' stacks");
    range = static_cast<char*>(p);
  }
  char* stack = range + slots * kStackSlot;
  if (slots == kSlots || mprotect(stack + kStackGuard, kStackSlot - kStackGuard, PROT_READ | PROT_WRITE))
    throw std::runtime_error("the emulator has no more stacks: too many threads wait at once");
  ++slots;
  return stack;
}

void give_stack(char* stack) {
  const std::lock_guard<std::mutex> lock(mutex);
  free_stacks().push_back(stack);
}

void* prepare_stack(char* stack, void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  // An abandoned thread has left the marks of its frames.
  __asan_unpoison_memory_region(stack + kStackGuard, kStackSlot - kStackGuard);
#endif
  *watched(stack) = kWatched;
  // At equal offsets all stacks would compete for the same few sets of the cache.
  const size_t colour = size_t(stack - range) / kStackSlot % 32 * 576;
  auto top = reinterpret_cast<void**>(stack + kStackSlot - colour);
  top[-1] = nullptr;  // the end for whoever unwinds
  top[-2] = reinterpret_cast<void*>(entry);
  return top - 8;
}

bool stack_overflown(const char* stack) { return *watched(stack) != kWatched; }

bool on_a_stack(const void* p) { return range && p >= range && p < range + kSlots * kStackSlot; }

}  // namespace cuemu
