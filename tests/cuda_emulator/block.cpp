// One block: its memory, poisoned before it begins and looked at when it has ended, and the loop over its fibers.
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include "scheduler.h"
#include "shared_markers.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cuemu {
namespace {

constexpr size_t kAlignment = 128;  // of dynamic shared memory
// Behind dynamic shared memory lie bytes of a known value. The address sanitizer, where there is one, watches instead.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kTail = 0;
#else
constexpr size_t kTail = 64;
#endif
constexpr unsigned char kPoison = 0xff, kTailByte = 0xa5;  // 0xff everywhere is a NaN in every type, or -1

class DynamicShared {
 public:
  explicit DynamicShared(size_t bytes) : bytes_(bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, kAlignment, bytes + kTail)) throw std::bad_alloc();
    data_ = static_cast<char*>(p);
    std::memset(data_, kPoison, bytes);
    std::memset(data_ + bytes, kTailByte, kTail);
  }
  ~DynamicShared() { std::free(data_); }
  DynamicShared(const DynamicShared&) = delete;
  DynamicShared& operator=(const DynamicShared&) = delete;

  Range range() const { return {data_, data_ + bytes_}; }
  void check(Launch& launch) const {
    for (size_t i = 0; i < kTail; ++i) {
      if (static_cast<unsigned char>(data_[bytes_ + i]) == kTailByte) continue;
      return launch.fail(std::string(launch.config.name) + ": write past the end of dynamic shared memory, byte " +
                         std::to_string(bytes_ + i) + " of " + std::to_string(bytes_));
    }
  }

 private:
  size_t bytes_;
  char* data_;
};

// Of this OS thread.
Range poisoned_static_shared() {
  Range range{shared_begin, shared_end};
  asm("" : "+r"(range.begin), "+r"(range.end));  // for the compiler no longer two objects that cannot be compared
  if (range.begin >= range.end)
    throw std::logic_error("the units of the library are linked in another order than shared_begin.cpp says");
  std::memset(range.begin, kPoison, size_t(range.end - range.begin));
  return range;
}

// Kernels run in the default mode: GPUs do not flush subnormal numbers unless told to, callers may have.
class DefaultFloatMode {
 public:
#if defined(__x86_64__)
  DefaultFloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultFloatMode() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#endif
};

}  // namespace

Runner::~Runner() {
  for (char* stack : stacks) give_stack(stack);
}

void Runner::begin(Launch& new_launch, int new_rank) {
  launch = &new_launch;
  rank = new_rank;
  dim = launch->config.block;
  grid = launch->config.grid;
  const unsigned b = unsigned(rank);
  index = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
  live = launch->threads;
  at_block_barrier = at_grid_barrier = votes = last_votes = 0;
  position = -1;
  from_host = false;
  waiting.assign(size_t(live + 31) / 32, 0);
  random.seed(launch->order.seed * 7919 + b);
  order = launch->order.first(live, random);
  fibers.resize(size_t(live));
  for (unsigned t = 0; t < unsigned(live); ++t) {
    Fiber& fiber = fibers[t];
    fiber.index = {t % dim.x, t / dim.x % dim.y, t / dim.x / dim.y};
    fiber.rank = t;
    fiber.block = this;
    fiber.state = State::kFresh;
    fiber.stack = nullptr;
    if (launch->races) fiber.clock = Clock();
  }
  races.begin_block(launch->races != nullptr);
}

void Runner::run(Launch& new_launch, int new_rank) {
  begin(new_launch, new_rank);
  const DefaultFloatMode mode;
  const DynamicShared dynamic(launch->config.shared);
  dynamic_shared = dynamic.range();
  shared = dynamic_shared.begin;
  static_shared = poisoned_static_shared();
  run_fibers();
  dynamic.check(*launch);
  collect_stacks();
}

void Runner::run_fibers() {
  for (;;) {
    run_until_blocked(*this);
    if (launch->failed || live == 0) return;
    if (at_grid_barrier < live) return launch->fail(report(*this, "deadlock"));
    if (live < launch->threads)
      return launch->fail(report(*this, "grid.sync not reached by threads that have returned"));
    if (!pass_grid_barrier()) return launch->fail(report(*this, "grid.sync not reached by blocks that have returned"));
    at_grid_barrier = 0;
    for (Fiber& fiber : fibers) fiber.state = State::kReady;
    races.sync_block();
  }
}

bool Runner::pass_grid_barrier() {
  return launch->turns.pass_barrier(rank, [this] {
    if (launch->races) launch->races->memory.forget();
    std::vector<int> blocks = launch->order.first(launch->blocks, launch->random);
    return blocks;
  });
}

// Those of threads that will not go on because the launch has failed.
void Runner::collect_stacks() {
  for (Fiber& fiber : fibers) {
    if (fiber.stack) stacks.push_back(fiber.stack);
    fiber.stack = nullptr;
  }
}

}  // namespace cuemu
