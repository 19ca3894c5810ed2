#include "race_detector.h"
#include <dlfcn.h>
#include <algorithm>
#include <cstdio>
#include <string>
#include "scheduler.h"

namespace cuemu {
namespace {

bool looked_for = false;

// Where in the source an instruction is, from addr2line; where there is none, what to ask it elsewhere.
std::string source_of(void* pc) {
  Dl_info info;
  if (!dladdr(pc, &info)) return "?";
  // One byte back: pc is where the call of the hook returns to.
  char offset[32];
  std::snprintf(offset, sizeof offset, "%#tx", static_cast<char*>(pc) - static_cast<char*>(info.dli_fbase) - 1);
  const std::string module = info.dli_fname, command = "addr2line -sCfpe '" + module + "' " + offset + " 2>/dev/null";
  char line[1000] = "";
  if (FILE* pipe = popen(command.c_str(), "r")) {
    if (!std::fgets(line, sizeof line, pipe)) line[0] = 0;
    pclose(pipe);
  }
  std::string text = line;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() || text[0] == '?' ? module + " " + offset : text;
}

bool ordered(const Runner& runner, const Fiber& now, const Access& before, const Access& after) {
  if (before.block == after.block) {
    if (before.rank == after.rank || before.barriers != after.barriers) return true;
    if (before.rank / 32 == after.rank / 32 && now.clock.seen[before.rank % 32] >= before.time) return true;
  }
  return !runner.races.known.empty() && runner.races.known.covers(before);
}

struct Check {
  Runner& runner;
  const Fiber& thread;
  bool shared, write;
  const Access& access;

  void against(const Access& before, const char* what) const {
    if (!before.pc || (before.atomic && access.atomic) || !(before.bytes & access.bytes)) return;
    if (ordered(runner, thread, before, access)) return;
    abandon(runner, std::string("data race in ") + (shared ? "shared" : "global") +
                        " memory: " + (write ? "write" : "read") + " by " + name_of(thread) + " after " + what +
                        " by block " + std::to_string(before.block) + " thread " + std::to_string(before.rank) +
                        "\n  " + (write ? "write" : "read") + " at " + source_of(access.pc) + "\n  " + what + " at " +
                        source_of(before.pc));
  }
};

void remember_read(Cell& cell, const Access& read) {
  Access& last = cell.read[0];
  if (last.pc && last.block != read.block) {
    cell.elsewhere = last;
    cell.read[1].pc = nullptr;
  } else if (last.pc && last.rank != read.rank && last.barriers == read.barriers) {
    cell.read[1] = last;
  } else if (last.pc && last.barriers != read.barriers) {
    cell.read[1].pc = nullptr;
  }
  last = read;
}

// An atomic operation passes on what was fenced, and learns what others have passed on.
void exchange_knowledge(Runner& runner, uintptr_t address) {
  auto& released = runner.launch->races->released;
  BlockRaces& mine = runner.races;
  if (const auto found = released.find(address); found != released.end()) mine.known.add(found->second);
  if (mine.fenced.empty()) return;
  Knowledge& there = released[address];
  there.add(mine.known);
  there.add(mine.fenced);
}

// g++ precedes a shared array, whose elements have constructors, with eight bytes of which it reads the first to learn
// whether the array has been constructed; they are never set.
bool may_be_guard(Runner& runner, uintptr_t address, size_t bytes) {
  if (bytes != 1 || address % 8 || !runner.static_shared.contains(reinterpret_cast<void*>(address))) return false;
  for (uintptr_t granule = address / 2; granule < address / 2 + 4; ++granule)
    if (runner.races.shared.cell(granule).initialised) return false;
  return true;
}

}  // namespace

bool races_looked_for() { return looked_for; }
void look_for_races() { looked_for = true; }

Cell& Shadow::cell(uintptr_t granule) {
  const uintptr_t page = granule / kPage;
  if (!last_ || page != last_page_) {
    auto& found = pages_[page];
    if (!found) found.reset(new Cell[kPage]);
    last_page_ = page;
    last_ = found.get();
  }
  Cell& cell = last_[granule % kPage];
  if (cell.stamp != stamp_) {
    cell.write.pc = cell.read[0].pc = cell.read[1].pc = cell.elsewhere.pc = nullptr;
    cell.stamp = stamp_;
    if (cell.initialised_stamp != values_stamp_) cell.initialised = 0, cell.initialised_stamp = values_stamp_;
  }
  return cell;
}

void Knowledge::add(const Knowledge& other) {
  for (const auto& [block, barriers] : other.blocks_) {
    uint32_t& mine = blocks_[block];
    mine = std::max(mine, barriers);
  }
  for (const auto& [thread, time] : other.threads_) {
    auto& mine = threads_[thread];
    mine = std::max(mine, time);
  }
}

void Knowledge::add(uint32_t block, uint16_t rank, uint32_t barriers, uint32_t time) {
  uint32_t& mine = blocks_[block];
  mine = std::max(mine, barriers);
  auto& thread = threads_[uint64_t(block) << 16 | rank];
  thread = std::max(thread, {barriers, time});
}

bool Knowledge::covers(const Access& access) const {
  const auto block = blocks_.find(access.block);
  if (block == blocks_.end()) return false;
  if (access.barriers < block->second) return true;
  const auto thread = threads_.find(uint64_t(access.block) << 16 | access.rank);
  return thread != threads_.end() && std::make_pair(access.barriers, access.time) <= thread->second;
}

void BlockRaces::begin_block(bool wanted) {
  active = wanted;
  if (!active) return;
  if (shared.holds_much()) shared.clear();
  shared.forget_values();
  known.clear();
  fenced.clear();
  barriers = 0;
}

void BlockRaces::fence(Fiber& thread) {
  if (!active) return;
  fenced.add(uint32_t(static_cast<Runner*>(thread.block)->rank), uint16_t(thread.rank), barriers, thread.clock.now++);
}

void BlockRaces::sync_warp(Fiber* lanes, unsigned mask) {
  if (!active) return;
  unsigned joined[32] = {};
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    for (unsigned k = 0; k < 32; ++k) joined[k] = std::max(joined[k], lanes[l].clock.seen[k]);
    joined[l] = std::max(joined[l], lanes[l].clock.now);
  }
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    std::copy(joined, joined + 32, lanes[l].clock.seen);
    ++lanes[l].clock.now;
  }
}

void access(void* p, size_t bytes, bool write, bool atomic, void* pc) {
  if (!current || p == static_cast<void*>(&current) || on_a_stack(p)) return;
  Runner& runner = current_runner();
  if (!runner.races.active) return;
  const auto at = static_cast<char*>(p);
  const Fiber& me = *static_cast<Fiber*>(current);
  // What inline functions of the emulator read of the thread and its block.
  const auto fibers = reinterpret_cast<char*>(runner.fibers.data()), self = reinterpret_cast<char*>(&runner);
  if (at >= self && at < self + sizeof runner) return;
  if (at >= fibers && at < fibers + runner.fibers.size() * sizeof(Fiber)) return;

  const bool shared = runner.dynamic_shared.contains(p) || runner.static_shared.contains(p);
  Shadow& shadow = shared ? runner.races.shared : runner.launch->races->memory;
  Access now;
  now.pc = pc;
  now.block = uint32_t(runner.rank);
  now.barriers = runner.races.barriers;
  now.time = me.clock.now;
  now.rank = uint16_t(me.rank);
  now.atomic = atomic;
  const uintptr_t begin = uintptr_t(p), end = begin + bytes;
  if (atomic) exchange_knowledge(runner, begin);
  for (uintptr_t granule = begin / 2; granule * 2 < end; ++granule) {
    now.bytes = uint8_t((granule * 2 >= begin ? 1 : 0) | (granule * 2 + 1 < end ? 2 : 0));
    Cell& cell = shadow.cell(granule);
    const Check check{runner, me, shared, write, now};
    const bool unset = (cell.initialised & now.bytes) != now.bytes;
    if (shared && (!write || atomic) && unset && !may_be_guard(runner, begin, bytes))
      abandon(runner, "read of uninitialised shared memory by " + name_of(me) + "\n  at " + source_of(pc));
    check.against(cell.write, "write");
    if (write) {
      for (const Access& read : cell.read) check.against(read, "read");
      check.against(cell.elsewhere, "read");
      cell.write = now;
      cell.initialised |= now.bytes;
    } else {
      remember_read(cell, now);
    }
  }
}

void note_atomic(void* p, size_t bytes) {
  if (looked_for) access(p, bytes, true, true, __builtin_return_address(0));
}

}  // namespace cuemu
