// What teams, units and workspaces (csrc/cpu/parallel.h, workspace.h) do, observed from inside and reported.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace textnn::native {

using Counts = std::vector<int64_t>;

// How often for_units() ran each of n units, and whether all of them ran with subnormals flushed.
Counts units(const std::string& kind, int threads, int64_t n, bool* flushed);

struct TeamReport {
  Counts size;         // of the team, as each member was told; the place of a member that did not come stays 0
  int64_t errors = 0;  // values of another step that a member saw behind a barrier
  bool flushed = true;
};
TeamReport team(const std::string& kind, int threads, int64_t steps, double work);

// Every thread opens workspaces of changing sizes, fills their parts with its own value and reads them again, while the
// caller gives memory back. Returns the number of values that another thread, or another part, had overwritten.
int64_t workspaces(int threads, int64_t rounds);
// The address of a workspace of this size that is closed again at once.
uintptr_t workspace_address(size_t bytes);

}  // namespace textnn::native
