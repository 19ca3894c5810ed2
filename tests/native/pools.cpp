#include "pools.h"
#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace textnn::native {
namespace {

using Body = void (*)(int64_t, int64_t, void*);
std::atomic<int64_t> changes{0};

void call(Body body, int64_t begin, int64_t end, void* context) {
  const uint64_t mode = float_mode();
  body(begin, end, context);
  // The low bits say which exceptions have occurred.
  if ((mode ^ float_mode()) & ~uint64_t(0x3f)) ++changes;
}

// When the last thread of a pool begins.
enum class Last { kAtOnce, kSlowly, kWhenTheCallerIsDone };

// The caller takes the first piece, [0, first), other threads one place each.
void spread(int64_t n, int64_t first, Last last, Body body, void* context) {
  std::promise<void> caller;
  const std::shared_future<void> done = caller.get_future().share();
  std::vector<std::thread> others;
  for (int64_t i = first; i < n; ++i)
    others.emplace_back([=] {
      if (last == Last::kWhenTheCallerIsDone && i + 1 == n) done.wait();
      if (last == Last::kSlowly && i + 1 == n) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      call(body, i, i + 1, context);
    });
  call(body, 0, first, context);
  caller.set_value();
  for (std::thread& t : others) t.join();
}

void threads(int64_t n, Body body, void* context) { spread(n, 1, Last::kAtOnce, body, context); }
void serial(int64_t n, Body body, void* context) { call(body, 0, n, context); }
void in_turn(int64_t n, Body body, void* context) {
  for (int64_t i = 0; i < n; ++i) call(body, i, i + 1, context);
}
void whole(int64_t n, Body body, void* context) {
  std::thread([=] { call(body, 0, n, context); }).join();
}
void merged(int64_t n, Body body, void* context) { spread(n, n < 2 ? n : 2, Last::kAtOnce, body, context); }
void late(int64_t n, Body body, void* context) { spread(n, 1, Last::kWhenTheCallerIsDone, body, context); }
void slow(int64_t n, Body body, void* context) { spread(n, 1, Last::kSlowly, body, context); }

}  // namespace

cpu::ThreadPool make_pool(const std::string& kind, int n) {
  if (kind == "threads") return {n, &threads};
  if (kind == "serial") return {n, &serial};
  if (kind == "in_turn") return {n, &in_turn};
  if (kind == "whole") return {n, &whole};
  if (kind == "merged") return {n, &merged};
  if (kind == "slow") return {n, &slow};
  if (kind == "late") return {n, &late};
  throw std::invalid_argument("no pool of threads is called '" + kind + "'");
}

uint64_t float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

void set_flushing(bool on) {
#if defined(__x86_64__)
  _mm_setcsr(on ? _mm_getcsr() | 0x8040u : _mm_getcsr() & ~0x8040u);
#elif defined(__aarch64__)
  const uint64_t bit = uint64_t(1) << 24, mode = on ? float_mode() | bit : float_mode() & ~bit;
  __asm__ volatile("msr fpcr, %0" ::"r"(mode));
#else
  (void)on;
#endif
}

bool flushing() {
  volatile float smallest_normal = 1.17549435e-38f;
  return smallest_normal * 0.5f == 0.0f;
}

int64_t mode_changes() { return changes; }

}  // namespace textnn::native
