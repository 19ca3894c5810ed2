// Fibers and what makes them wait. The OS thread enters the first fiber; one that has to wait goes straight to the next
// that can run, and back to the OS thread where there is none.
#include "scheduler.h"
#include <algorithm>
#include <exception>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuemu {

__thread Thread* current = nullptr;

namespace {

Fiber& fiber_of(Thread* thread) { return *static_cast<Fiber*>(thread); }

// The address sanitizer has to know on which stack the code runs. Before a switch: where it goes, and whether the stack
// it leaves will be used again; after it: whence it came.
void before_switch([[maybe_unused]] void** kept, [[maybe_unused]] const void* bottom, [[maybe_unused]] size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(kept, bottom, size);
#endif
}
void after_switch([[maybe_unused]] Runner& runner, [[maybe_unused]] void* kept) {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(kept, &bottom, &size);
  if (runner.from_host) {
    runner.host_bottom = bottom;
    runner.host_size = size;
  }
#endif
  runner.from_host = false;
}

void to_host(Runner& runner, bool for_good) {
  Fiber& me = fiber_of(current);
  void* kept = nullptr;
  before_switch(for_good ? nullptr : &kept, runner.host_bottom, runner.host_size);
  cuemu_switch(&me.sp, runner.host_sp);
  after_switch(runner, kept);
}

[[noreturn]] void fiber_main();

void to_fiber(Runner& runner, void** save, Fiber& fiber, bool for_good) {
  if (fiber.state == State::kFresh) {
    if (runner.stacks.empty()) runner.stacks.push_back(take_stack());
    fiber.stack = runner.stacks.back();
    runner.stacks.pop_back();
    fiber.sp = prepare_stack(fiber.stack, fiber_main);
    fiber.state = State::kReady;
  }
  void* kept = nullptr;
  before_switch(for_good ? nullptr : &kept, fiber.stack, kStackSlot);
  current = &fiber;
  cuemu_switch(save, fiber.sp);
  after_switch(runner, kept);
}

// The next that can run; null where all wait or have returned.
Fiber* pick(Runner& runner) {
  const int n = int(runner.fibers.size());
  for (int k = 0; k < n; ++k) {
    if (++runner.position >= n) {
      runner.position = 0;
      runner.launch->order.next_round(runner.order, runner.random);
    }
    Fiber& fiber = runner.fibers[size_t(runner.order[size_t(runner.position)])];
    if (fiber.state <= State::kReady) return &fiber;
  }
  return nullptr;
}

void check_stack(Runner& runner, const Fiber& me) {
  if (stack_overflown(me.stack))
    runner.launch->fail(report(runner, "fiber stack overflow: a thread needs more than " +
                                           std::to_string((kStackSlot - kStackGuard - kStackSpare) >> 10) +
                                           " KB of local memory, " + name_of(me)));
}

// The current fiber has become blocked, or was released at once.
void wait_here(Runner& runner) {
  Fiber& me = fiber_of(current);
  check_stack(runner, me);
  if (runner.launch->failed) to_host(runner, false);
  Fiber* next = pick(runner);
  if (next == &me) return;
  if (next)
    to_fiber(runner, &me.sp, *next, false);
  else
    to_host(runner, false);
}

void run_body(Launch& launch) {
  try {
    launch.body(launch.arguments);
  } catch (const std::exception& error) {
    launch.fail(std::string(launch.config.name) + ": exception in a kernel: " + error.what());
  } catch (...) {
    launch.fail(std::string(launch.config.name) + ": exception in a kernel");
  }
}

// Threads that never wait run one after another on one stack.
void fiber_main() {
  Runner& runner = current_runner();
  after_switch(runner, nullptr);
  for (;;) {
    Fiber& me = fiber_of(current);
    run_body(*runner.launch);
    check_stack(runner, me);
    me.state = State::kReturned;
    --runner.live;
    if (!runner.launch->failed) runner.release_block_barrier();
    Fiber* next = runner.launch->failed ? nullptr : pick(runner);
    if (next && next->state == State::kFresh) {
      next->stack = me.stack;
      next->state = State::kReady;
      me.stack = nullptr;
      current = next;
      continue;
    }
    runner.stacks.push_back(me.stack);
    me.stack = nullptr;
    if (next)
      to_fiber(runner, &me.sp, *next, true);
    else
      to_host(runner, true);
  }
}

void serve_warp(Runner& runner, Fiber* lanes, unsigned mask, const Fiber& last) {
  void* brought[32] = {};
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    const Fiber& lane = lanes[l];
    if (lane.mask != mask || lane.serve != last.serve || lane.where.line != last.where.line)
      abandon(runner, "lanes of one mask are in different warp operations");
    brought[l] = lane.mine;
  }
  if (last.serve)
    last.serve(brought, mask);
  else
    runner.races.sync_warp(lanes, mask);
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) lanes[l].state = State::kReady;
}

}  // namespace

Runner& current_runner() { return *static_cast<Runner*>(current->block); }

void run_until_blocked(Runner& runner) {
  while (Fiber* next = runner.launch->failed ? nullptr : pick(runner)) {
    runner.from_host = true;
    to_fiber(runner, &runner.host_sp, *next, false);
    current = nullptr;
  }
}

void abandon(Runner& runner, const std::string& reason) {
  runner.launch->fail(report(runner, reason));
  for (;;) to_host(runner, false);  // the fiber is never unwound; strings that its frames own are lost
}

void Runner::release_block_barrier() {
  if (at_block_barrier == 0 || at_block_barrier < live) return;
  const Fiber* first = nullptr;
  for (const Fiber& fiber : fibers) {
    if (fiber.state != State::kAtBlockBarrier) continue;
    if (!first) first = &fiber;
    if (fiber.where.line != first->where.line || std::strcmp(fiber.where.file, first->where.file))
      return launch->fail(report(*this, "divergent __syncthreads: threads wait at different barriers"));
  }
  if (live < int(fibers.size()) && !launch->allow_exited)
    return launch->fail(report(*this, "__syncthreads not reached by threads that have returned"));
  for (Fiber& fiber : fibers)
    if (fiber.state == State::kAtBlockBarrier) fiber.state = State::kReady;
  at_block_barrier = 0;
  last_votes = votes;
  votes = 0;
  races.sync_block();
}

int sync_block(bool vote, Where where) {
  Runner& runner = current_runner();
  Fiber& me = fiber_of(current);
  me.where = where;
  me.state = State::kAtBlockBarrier;
  ++runner.at_block_barrier;
  runner.votes += vote;
  runner.release_block_barrier();
  wait_here(runner);
  return runner.last_votes;
}

void sync_grid(Where where) {
  Runner& runner = current_runner();
  Fiber& me = fiber_of(current);
  me.where = where;
  me.state = State::kAtGridBarrier;
  if (!runner.launch->config.cooperative) abandon(runner, "grid.sync in a launch that is not cooperative");
  ++runner.at_grid_barrier;
  wait_here(runner);
}

void warp_collective(unsigned mask, void* mine, Serve serve, Where where) {
  Runner& runner = current_runner();
  Fiber& me = fiber_of(current);
  const unsigned warp = me.rank / 32, first = warp * 32;
  const unsigned size = std::min<unsigned>(32, unsigned(runner.fibers.size()) - first);
  if (size < 32) mask &= (1u << size) - 1;  // a full mask is usual in the last warp too
  me.where = where;
  me.mask = mask;
  me.mine = mine;
  me.serve = serve;
  me.state = State::kInWarp;
  if (!(mask >> me.lane() & 1)) abandon(runner, "warp operation by a lane that is not in its mask: " + name_of(me));
  unsigned& waiting = runner.waiting[warp];
  waiting |= 1u << me.lane();
  if ((waiting & mask) == mask) {
    serve_warp(runner, &runner.fibers[first], mask, me);
    waiting &= ~mask;
  }
  wait_here(runner);
}

void yield() {
  Runner& runner = current_runner();
  Fiber& me = fiber_of(current);
  check_stack(runner, me);
  if (runner.launch->config.cooperative) runner.launch->turns.yield(runner.rank);
  wait_here(runner);
}

void fence() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  current_runner().races.fence(fiber_of(current));
}

void fail_thread(const char* what, Where where) {
  Runner& runner = current_runner();
  abandon(runner, std::string(what) + " at " + place(where) + " by " + name_of(*current));
}

}  // namespace cuemu

// What assert() calls. In a kernel it ends the launch, in host code of the library the process, as everywhere.
extern "C" void __assert_fail(const char* expression, const char* file, unsigned line, const char* function) noexcept {
  if (cuemu::current) {
    const std::string what = "assertion " + std::string(expression) + " failed in " + function;
    cuemu::fail_thread(what.c_str(), {file, int(line)});
  }
  std::fprintf(stderr, "%s:%u: %s: assertion %s failed.\n", file, line, function, expression);
  std::abort();
}
