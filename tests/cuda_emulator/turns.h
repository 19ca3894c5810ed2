// The blocks of a cooperative launch have an OS thread each, since all of them are alive at once, but only some run at
// a time: with one place the launch takes the same course every time. A block leaves its place at the barrier of the
// grid and when it yields.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace cuemu {

class Turns {
 public:
  // Blocks start in this order, `places` at a time.
  void begin(const std::vector<int>& order, int places);
  // Waits for the block's first turn.
  void start(int block);
  // At the barrier of the grid; the last block to arrive calls `all_here`, which returns the order of the next turns.
  // False: some blocks have returned and will never arrive.
  bool pass_barrier(int block, const std::function<std::vector<int>()>& all_here);
  // The others that can run do so first.
  void yield(int block);
  // The block has ended. False: others wait for it at the barrier of the grid.
  bool leave();
  // Nobody waits any more.
  void cancel();

 private:
  void wait(int block, std::unique_lock<std::mutex>& lock);
  void fill_places();

  std::mutex mutex_;
  std::vector<std::condition_variable> wake_;
  std::vector<char> running_;
  std::deque<int> ready_;
  int places_ = 0, arrived_ = 0, ended_ = 0;
  bool cancelled_ = false;
};

}  // namespace cuemu
