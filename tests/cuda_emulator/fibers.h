// Stacks for fibers and the switch between them.
//
// All stacks are slots of one reserved range of addresses and are kept for later launches. From low to high addresses
// (stacks grow down):
//
//   | guard: no access | spare | watched word | usable .................. |
//
// A thread that needs more than the usable part overwrites the watched word, which is looked at whenever the thread
// waits or returns; what goes on through the spare part ends at the guard instead of in another stack.
#pragma once
#include <cstddef>

namespace cuemu {

constexpr size_t kStackSlot = 256 << 10, kStackGuard = 4 << 10, kStackSpare = 60 << 10;

// Both may be called by several OS threads at once. take_stack throws std::runtime_error where no slot is left.
char* take_stack();
void give_stack(char* stack);
// A stack on which a switch will enter `entry`, which must not return. The result is the stack pointer to switch to.
void* prepare_stack(char* stack, void (*entry)());
bool stack_overflown(const char* stack);
bool on_a_stack(const void* p);

// Saves the registers on the current stack, its pointer to *save, and continues where `load` was saved.
extern "C" void cuemu_switch(void** save, void* load);

}  // namespace cuemu
