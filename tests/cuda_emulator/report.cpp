#include <map>
#include <utility>
#include "scheduler.h"

namespace cuemu {
namespace {

const char* describe(State state) {
  switch (state) {
    case State::kFresh:
      return "not started";
    case State::kReady:
      return "running";
    case State::kAtBlockBarrier:
      return "__syncthreads";
    case State::kInWarp:
      return "a warp operation";
    case State::kAtGridBarrier:
      return "grid.sync";
    case State::kReturned:
      return "returned";
  }
  return "?";
}

std::string tuple(const uint3& v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}

}  // namespace

std::string name_of(const Thread& thread) {
  return "block " + tuple(thread.block->index) + " thread " + tuple(thread.index);
}

std::string place(const Where& where) {
  const std::string file = where.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line);
}

// The threads of the block in groups, by what they wait for.
std::string report(const Runner& runner, const std::string& reason) {
  std::map<std::string, std::pair<int, const Thread*>> groups;
  for (const Fiber& fiber : runner.fibers) {
    std::string state = describe(fiber.state);
    const bool waits = fiber.state != State::kFresh && fiber.state != State::kReady && fiber.state != State::kReturned;
    if (waits) state += " at " + place(fiber.where);
    auto& group = groups[state];
    if (!group.first++) group.second = &fiber;
  }
  std::string text = std::string(runner.launch->config.name) + ": " + reason;
  for (const auto& [state, group] : groups)
    text += "\n  " + std::to_string(group.first) + " threads: " + state + ", e.g. " + name_of(*group.second);
  return text;
}

}  // namespace cuemu
