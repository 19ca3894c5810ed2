// Data races, and shared memory that is read before it is written.
//
// Every access of the kernels' units is compared with the last ones to the same bytes: two accesses of which one
// writes, and not both are atomic, are a race unless one happened before the other. What orders accesses:
//
//   one thread             the program
//   one warp               __syncwarp of both lanes (a shuffle or a vote orders nothing)
//   one block              __syncthreads
//   all blocks             the barrier of the grid
//   any two threads        a __threadfence before an atomic operation, and a later atomic operation on the same
//   address,
//                          after which the whole block counts as informed
//
// It follows the happens-before relation of one run (Lamport 1978; FastTrack, Flanagan and Freund 2009), so it finds
// races that did no harm in this run, but none on a path that was not taken.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

namespace cuemu {

struct Fiber;

// The time of one thread, for order within its warp.
struct Clock {
  unsigned now = 1;
  unsigned seen[32] = {};  // for each lane, the time up to which its accesses happened before
};

struct Access {
  void* pc = nullptr;  // null: none
  uint32_t block, barriers, time;
  uint16_t rank;
  uint8_t bytes;  // which of the granule's
  bool atomic;
};

// What is known of two bytes, the size of the smallest elements that kernels share.
struct Cell {
  Access write;
  Access read[2];           // of two threads of one block
  Access elsewhere;         // read by another block than that
  uint32_t stamp = 0;       // anything older than the shadow's stamp is forgotten
  uint8_t initialised = 0;  // bytes written since the block began
  uint32_t initialised_stamp = 0;
};

class Shadow {
 public:
  Cell& cell(uintptr_t granule);
  // All that came before is ordered before what follows.
  void forget() { ++stamp_; }
  void forget_values() { values_stamp_ = ++stamp_; }
  bool holds_much() const { return pages_.size() > 1024; }
  void clear() { pages_.clear(), last_ = nullptr; }

 private:
  static constexpr uintptr_t kPage = 512;
  std::unordered_map<uintptr_t, std::unique_ptr<Cell[]>> pages_;
  uintptr_t last_page_ = 0;
  Cell* last_ = nullptr;
  uint32_t stamp_ = 1, values_stamp_ = 1;
};

// Up to where other threads' accesses are known to have happened before.
class Knowledge {
 public:
  void add(const Knowledge& other);
  void add(uint32_t block, uint16_t rank, uint32_t barriers, uint32_t time);
  bool covers(const Access& access) const;
  void clear() { blocks_.clear(), threads_.clear(); }
  bool empty() const { return blocks_.empty(); }

 private:
  std::unordered_map<uint32_t, uint32_t> blocks_;  // accesses before this many barriers of the block
  std::unordered_map<uint64_t, std::pair<uint32_t, uint32_t>> threads_;  // (barriers, time) of one thread
};

struct GlobalRaces {
  Shadow memory;
  std::unordered_map<uintptr_t, Knowledge> released;  // by the address of the atomic variable
};

struct BlockRaces {
  bool active = false;
  Shadow shared;
  Knowledge known;   // from other threads, through atomic operations
  Knowledge fenced;  // what an atomic operation of this block passes on
  uint32_t barriers = 0;
  void begin_block(bool looked_for);
  void sync_block() { ++barriers; }
  void sync_warp(Fiber* lanes, unsigned mask);
  void fence(Fiber& thread);
};

// Whether the kernels' units are built to detect races.
bool races_looked_for();
void look_for_races();
// Tells of an access of the current thread.
void access(void* p, size_t bytes, bool write, bool atomic, void* pc);

}  // namespace cuemu
