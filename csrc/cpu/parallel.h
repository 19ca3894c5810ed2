// How kernels use threads without knowing whose threads they are.
//
// ThreadPool is the caller's parallel loop: torch's in the operators, std::thread in the native tests. for_units()
// shares out independent pieces of work. A Team adds a barrier, for work whose steps depend on each other.
//
// A barrier needs all members to run at once, and a parallel loop does not promise that: inside another parallel region
// one thread gets the whole range, other pools run one piece after the other. So a team is made of the threads that
// arrive: each brings its share of the places, and when all places are taken, or after a wait, the team closes with
// those who are there; who comes later has nothing to do. Nobody waits for ever for a thread that will not come. The
// wait is short against the work: a thread that the system starts late costs a long call a tenth of its time at most,
// and is not missing for all of it.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include "flush_subnormals.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace textnn::cpu {

struct ThreadPool {
  int threads;  // how many may be used
  // Calls body(begin, end, context) on one or more threads for pieces that together cover [0, n); returns when all are
  // done.
  void (*run)(int64_t n, void (*body)(int64_t begin, int64_t end, void* context), void* context);
};

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // yield is no pause at all on most of them
#endif
}

// Spins, then gives the core away: users run in containers with fewer cores than threads.
template <class Condition>
inline void wait_until(Condition&& done) {
  for (int spin = 0; !done(); ++spin) {
    if (spin < 4000)
      pause_briefly();
    else
      std::this_thread::yield();
  }
}

// How long a team waits for its members. A test makes it longer, to have all of them whatever else the machine does.
struct TeamPatience {
  double least = 500e-6, most = 1;  // seconds
  // Of the time that the work takes on one thread, which may be far from the truth: the estimate is that of a fast one,
  // with 50 multiply-adds in a nanosecond.
  double share = 0.1, rate = 50e9;

  double seconds(double work) const { return std::max(least, std::min(most, work * share / rate)); }
};
inline TeamPatience team_patience;

class Team {
 public:
  // Runs body(member, size) on every member of a team of at most `threads`; barrier() may be called inside.
  // work: multiply-adds of all members together, from which follows how long they wait for each other to come.
  template <class F>
  static void run(const ThreadPool& pool, int threads, double work, F&& body) {
    Team team(threads, team_patience.seconds(work));
    auto enter = [&](int64_t begin, int64_t end) {
      const int member = team.join(int(end - begin));
      if (member < 0) return;
      const FlushSubnormals flush;
      body(team, member, team.size_);
    };
    if (threads <= 1) return enter(0, 1);
    using Enter = decltype(enter);
    pool.run(
        threads, [](int64_t begin, int64_t end, void* context) { (*static_cast<Enter*>(context))(begin, end); },
        &enter);
  }

  void barrier() {
    if (size_ == 1) return;
    const unsigned generation = generation_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      waiting_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
    } else {
      wait_until([&] { return generation_.load(std::memory_order_acquire) != generation; });
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr uint32_t kClosed = 1u << 31, kMember = 1u << 16, kPlaces = kMember - 1;

  Team(int threads, double patience)
      : places_(uint32_t(threads)),
        patience_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(patience))) {}

  int join(int share) {
    uint32_t seen = roll_.load(std::memory_order_acquire), next;
    do {
      if (seen & kClosed) return -1;
      next = seen + kMember + uint32_t(share);
      if ((next & kPlaces) == places_) next |= kClosed;
    } while (!roll_.compare_exchange_weak(seen, next, std::memory_order_acq_rel));
    const Clock::time_point deadline = Clock::now() + patience_;
    wait_until([&] {
      next = roll_.load(std::memory_order_acquire);
      if (!(next & kClosed) && Clock::now() > deadline) roll_.compare_exchange_weak(next, next | kClosed);
      return (next & kClosed) != 0;
    });
    // Every member stores the same value before it reads it.
    size_.store(int((next & ~kClosed) / kMember), std::memory_order_relaxed);
    return int(seen / kMember);
  }

  const uint32_t places_;
  const Clock::duration patience_;
  std::atomic<uint32_t> roll_{0};  // closed flag, members, places taken
  std::atomic<int> size_{0};
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<unsigned> generation_{0};
};

// body(unit) for every unit in [0, n), each on whatever thread is free, in rising order of the start.
template <class F>
inline void for_units(const ThreadPool& pool, int64_t n, F&& body) {
  struct Work {
    F& body;
    int64_t n;
    std::atomic<int64_t> next{0};
  } work{body, n};
  auto loop = [](int64_t, int64_t, void* context) {
    auto& w = *static_cast<Work*>(context);
    const FlushSubnormals flush;
    for (int64_t unit; (unit = w.next.fetch_add(1, std::memory_order_relaxed)) < w.n;) w.body(unit);
  };
  const int64_t threads = n < pool.threads ? n : pool.threads;
  if (threads > 1)
    pool.run(threads, loop, &work);
  else if (n > 0)
    loop(0, 1, &work);
}

// The part of [0, n) that belongs to `member` of `size`.
struct Share {
  int64_t begin, end;
  Share(int64_t n, int member, int size) : begin(n * member / size), end(n * (member + 1) / size) {}
};

}  // namespace textnn::cpu
