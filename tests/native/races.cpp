// A program for the thread sanitizer (test_races.py): teams with barriers, units of work and workspaces on many
// threads.
#include <cstdio>
#include "../../csrc/cpu/parallel.h"
#include "probes.h"

int main() {
  using namespace textnn;
  cpu::team_patience = {1e3, 1e3};
  int64_t errors = 0;
  for (int threads = 2; threads <= 4; ++threads) {
    const native::TeamReport report = native::team("threads", threads, 50, 1e9);
    errors += report.errors;
    bool flushed = false;
    for (const int64_t count : native::units("threads", threads, 200, &flushed)) errors += count != 1;
  }
  errors += native::workspaces(3, 40);
  std::printf("%lld errors\n", static_cast<long long>(errors));
  return errors != 0;
}
