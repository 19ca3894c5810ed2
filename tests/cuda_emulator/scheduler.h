// How a launch is carried out; for the emulator's own files.
//
//   launch (launch.cpp)      checks, then gives the blocks to one OS thread or several
//     Turns (turns.h)        which blocks of a cooperative launch run, and the barrier of the grid
//     Runner (block.cpp)     one block after another: its memory, its loop over fibers
//       Fiber (scheduler.cpp)  one CUDA thread: barriers, warp operations, the switch to the next that can run
//         access (race_detector.cpp)   every access to memory, in the flavour that detects races
#pragma once
#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <vector>
#include "execution.h"
#include "fibers.h"
#include "launching.h"
#include "race_detector.h"
#include "turns.h"

namespace cuemu {

// CUEMU_ORDER: in which order blocks, and the threads of a block, run as long as nothing else decides.
struct Order {
  enum { kForward, kReverse, kRandom } kind = kForward;
  unsigned seed = 1;
  static Order from_environment();
  std::vector<int> first(int n, std::mt19937& random) const;
  void next_round(std::vector<int>& order, std::mt19937& random) const;
};

struct Launch {
  Launch(const LaunchConfig& config, void (*body)(const void*), const void* arguments, GlobalRaces* races);

  const LaunchConfig& config;
  void (*const body)(const void*);
  const void* const arguments;
  GlobalRaces* const races;  // null where races are not looked for
  const Order order;
  const int blocks, threads;  // threads of a block
  const bool allow_exited;    // CUEMU_ALLOW_EXITED: barriers do not wait for threads that have returned
  std::mt19937 random;
  std::atomic<bool> failed{false};
  Turns turns;

  // The first reason counts.
  void fail(const std::string& reason);
  std::string error() const;

 private:
  mutable std::mutex mutex_;
  std::string error_;
};

enum class State : char { kFresh, kReady, kAtBlockBarrier, kInWarp, kAtGridBarrier, kReturned };

struct Fiber : Thread {
  State state;
  unsigned mask;  // of the warp operation it waits in, with what it brought
  void* mine;
  Serve serve;
  Where where;  // it waits
  void* sp;
  char* stack;
  Clock clock;
};

struct Range {
  char* begin = nullptr;
  char* end = nullptr;
  bool contains(const void* p) const { return p >= begin && p < end; }
};

// The place in which blocks run, one at a time. It stays on one OS thread while a block runs.
struct Runner : Block {
  Launch* launch;
  int rank;  // of the block
  std::vector<Fiber> fibers;
  std::vector<unsigned> waiting;  // of each warp, the lanes in warp operations
  std::vector<int> order;
  int position;  // in order
  int live, at_block_barrier, at_grid_barrier;
  int votes, last_votes;  // of the block's barrier
  std::vector<char*> stacks;
  std::mt19937 random;
  Range dynamic_shared, static_shared;
  BlockRaces races;
  // The OS thread's own stack, while fibers run.
  void* host_sp;
  const void* host_bottom;
  size_t host_size;
  bool from_host;

  void run(Launch& launch, int rank);
  void release_block_barrier();
  ~Runner();

 private:
  void begin(Launch& launch, int rank);
  void run_fibers();
  bool pass_grid_barrier();
  void collect_stacks();
};

// Fibers of the block that `current` runs in.
Runner& current_runner();
// Runs fibers until none can run.
void run_until_blocked(Runner& runner);
// Ends the launch for this reason, with the states of all threads; called by a fiber it does not return.
[[noreturn]] void abandon(Runner& runner, const std::string& reason);

// report.cpp
std::string name_of(const Thread& thread);
std::string place(const Where& where);
std::string report(const Runner& runner, const std::string& reason);

}  // namespace cuemu
