// How many threads a recurrence takes, and whether both directions of a layer run side by side, by cost.
//
// With n threads for W multiply-adds in T steps, members wait for each other once a step:
//
//   one direction      W / n + T barrier(n)        barrier(n) = n * Costs::barrier: a cache line goes from core to core
//   both, in turn      twice that
//   both, side by side W                           a thread each, which waits for nobody
//
// With one or two threads for a direction the last is the least, whatever a barrier costs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace textnn::cpu {

// In multiply-adds of one thread, of which a fast core makes 50 in a nanosecond.
struct TeamCosts {
  double least_work = 400e3;  // of all for each thread beyond the first one: less costs more than the thread saves
  double barrier = 2500;      // of a step for each member
};
inline TeamCosts team_costs;  // a test makes barriers free, to have many threads for little work

// rate: multiply-adds in the time of one of float32.
inline int team_size(int threads, double work, int64_t steps, bool waits, double rate = 1) {
  const int most = int(std::min<double>(threads, work / (rate * team_costs.least_work) + 1));
  if (most <= 2 || !waits || steps <= 0) return most;
  // The minimum of w / n + n * barrier, for the work w of a step.
  const double best = std::sqrt(work / double(steps) / std::max(rate * team_costs.barrier, 1e-9));
  return int(std::min<double>(most, std::max(2.0, best)));
}

// Whether each thread has sequences of its own, and waits for nobody, in the place of hidden units: with `rows` of them
// for each, and weights that a core's cache holds.
struct RecurrentTeam {
  int threads;
  bool share_rows;

  // fits: whether the cache holds the weights.
  RecurrentTeam(int most, double work, int64_t steps, int64_t B, int64_t rows, bool fits, double rate = 1)
      : threads(team_size(most, work, steps, false, rate)), share_rows(fits && threads > 1 && B >= rows * threads) {
    if (share_rows) return;
    threads = team_size(most, work, steps, true, rate);
    share_rows = fits && threads > 1 && B >= rows * threads;
  }
};

// work: multiply-adds of one direction. fits: whether a core's cache holds what it reads at every step.
inline bool side_by_side(int threads, double work, int64_t steps, int64_t B, bool fits) {
  constexpr int64_t kManyRows = 12;  // for each of two threads, which then share out the sequences of a direction
  if (threads < 2 || B >= 2 * kManyRows || !fits) return false;
  const double n = team_size(threads, work, steps, true);
  return work <= 2 * (work / n + (n > 1 ? double(steps) * n * team_costs.barrier : 0));
}

}  // namespace textnn::cpu
