// What g++ -fsanitize=thread has the kernels' units call, in the place of the thread sanitizer's own library: units are
// compiled with that option but never linked with it.
#include <cstdint>
#include <cstring>
#include "execution.h"
#include "race_detector.h"

using cuemu::access;

// The names of the functions are made by pasting.
#define CUEMU_HOOKS(n)                                                                                           \
  extern "C" void __tsan_read##n(void* p) { access(p, n, false, false, __builtin_return_address(0)); }           \
  extern "C" void __tsan_write##n(void* p) { access(p, n, true, false, __builtin_return_address(0)); }           \
  extern "C" void __tsan_unaligned_read##n(void* p) { access(p, n, false, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_unaligned_write##n(void* p) { access(p, n, true, false, __builtin_return_address(0)); }
CUEMU_HOOKS(1)
CUEMU_HOOKS(2)
CUEMU_HOOKS(4)
CUEMU_HOOKS(8)
CUEMU_HOOKS(16)

extern "C" void __tsan_read_range(void* p, size_t n) { access(p, n, false, false, __builtin_return_address(0)); }
extern "C" void __tsan_write_range(void* p, size_t n) { access(p, n, true, false, __builtin_return_address(0)); }
extern "C" void __tsan_init() { cuemu::look_for_races(); }
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}

// The host code of those units: static objects in functions, reference counts, std::atomic.
#define CUEMU_ATOMICS(bits)                                                                                          \
  extern "C" uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* p, int) {                      \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                                     \
  }                                                                                                                  \
  extern "C" void __tsan_atomic##bits##_store(volatile uint##bits##_t* p, uint##bits##_t v, int) {                   \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                                        \
  }                                                                                                                  \
  extern "C" uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* p, uint##bits##_t v, int) {      \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                              \
  }                                                                                                                  \
  extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t* p, uint##bits##_t v, int) {     \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                               \
  }                                                                                                                  \
  extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t* p, uint##bits##_t v, int) {     \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                               \
  }                                                                                                                  \
  extern "C" int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t* p, uint##bits##_t* expected, \
                                                               uint##bits##_t v, int, int) {                         \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
  }                                                                                                                  \
  extern "C" int __tsan_atomic##bits##_compare_exchange_weak(volatile uint##bits##_t* p, uint##bits##_t* expected,   \
                                                             uint##bits##_t v, int, int) {                           \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
  }
CUEMU_ATOMICS(8)
CUEMU_ATOMICS(16)
CUEMU_ATOMICS(32)
CUEMU_ATOMICS(64)
extern "C" void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
