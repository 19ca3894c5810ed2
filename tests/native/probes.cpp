#include "probes.h"
#include <cstring>
#include "../../csrc/cpu/workspace.h"
#include "pools.h"

namespace textnn::native {

Counts units(const std::string& kind, int threads, int64_t n, bool* flushed) {
  std::vector<std::atomic<int64_t>> counts(static_cast<size_t>(n));
  std::atomic<bool> all_flush{true};
  cpu::for_units(make_pool(kind, threads), n, [&](int64_t unit) {
    ++counts[size_t(unit)];
    if (!flushing()) all_flush = false;
  });
  *flushed = all_flush;
  return Counts(counts.begin(), counts.end());
}

// Every member writes the number of the step to its place, and behind the barrier reads the places of all members.
TeamReport team(const std::string& kind, int threads, int64_t steps, double work) {
  constexpr size_t kSpread = 8;  // places share cache lines or not, both happen
  TeamReport report{Counts(size_t(std::max(1, threads)), 0)};
  std::vector<int64_t> place(report.size.size() * kSpread, 0);
  std::atomic<int64_t> errors{0};
  std::atomic<bool> all_flush{true};
  cpu::Team::run(make_pool(kind, threads), threads, work, [&](cpu::Team& team, int member, int size) {
    report.size[size_t(member)] += size;
    if (!flushing()) all_flush = false;
    for (int64_t step = 1; step <= steps; ++step) {
      place[size_t(member) * kSpread] = step;
      team.barrier();
      for (int other = 0; other < size; ++other)
        if (place[size_t(other) * kSpread] != step) ++errors;
      team.barrier();
    }
  });
  report.errors = errors;
  report.flushed = all_flush;
  return report;
}

int64_t workspaces(int threads, int64_t rounds) {
  std::atomic<int64_t> errors{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      for (int64_t round = 0; round < rounds; ++round) {
        const int64_t doubles = (round * 7919 + t * 104729) % 40000, chars = round % 3 * 777;
        cpu::Workspace workspace(cpu::Workspace::bytes<double>(doubles) + cpu::Workspace::bytes<char>(chars));
        double* first = workspace.take<double>(doubles);
        char* second = workspace.take<char>(chars);
        if (uintptr_t(first) % 64 || uintptr_t(second) % 64) ++errors;
        for (int64_t i = 0; i < doubles; ++i) first[i] = t + 1;
        std::memset(second, t + 65, size_t(chars));
        cpu::Workspace inner(size_t(round % 5) * 3000);
        std::memset(inner.take<char>(round % 5 * 3000), 0, size_t(round % 5) * 3000);
        for (int64_t i = 0; i < doubles; ++i) errors += first[i] != t + 1;
        for (int64_t i = 0; i < chars; ++i) errors += second[i] != t + 65;
      }
    });
  for (int64_t round = 0; round < rounds; ++round) cpu::release_workspaces();
  for (std::thread& t : all) t.join();
  return errors;
}

uintptr_t workspace_address(size_t bytes) {
  cpu::Workspace workspace(bytes);
  return uintptr_t(workspace.take<char>(int64_t(bytes)));
}

}  // namespace textnn::native
