#include "turns.h"

namespace cuemu {

void Turns::begin(const std::vector<int>& order, int places) {
  const std::lock_guard<std::mutex> lock(mutex_);
  wake_ = std::vector<std::condition_variable>(order.size());
  running_.assign(order.size(), false);
  ready_.assign(order.begin(), order.end());
  places_ = places;
  fill_places();
}

void Turns::start(int block) {
  std::unique_lock<std::mutex> lock(mutex_);
  wait(block, lock);
}

bool Turns::pass_barrier(int block, const std::function<std::vector<int>()>& all_here) {
  std::unique_lock<std::mutex> lock(mutex_);
  running_[size_t(block)] = false;
  ++places_;
  ++arrived_;
  if (arrived_ + ended_ == int(wake_.size())) {
    if (ended_) return false;
    arrived_ = 0;
    const std::vector<int> order = all_here();
    ready_.assign(order.begin(), order.end());
  }
  fill_places();
  wait(block, lock);
  return true;
}

void Turns::yield(int block) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (ready_.empty()) return;
  running_[size_t(block)] = false;
  ++places_;
  ready_.push_back(block);
  fill_places();
  wait(block, lock);
}

bool Turns::leave() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++places_;
  ++ended_;
  fill_places();
  return arrived_ == 0 || arrived_ + ended_ < int(wake_.size());
}

void Turns::cancel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  for (auto& wake : wake_) wake.notify_all();
}

void Turns::wait(int block, std::unique_lock<std::mutex>& lock) {
  wake_[size_t(block)].wait(lock, [&] { return running_[size_t(block)] || cancelled_; });
}

void Turns::fill_places() {
  for (; places_ > 0 && !ready_.empty(); --places_) {
    const int block = ready_.front();
    ready_.pop_front();
    running_[size_t(block)] = true;
    wake_[size_t(block)].notify_all();
  }
}

}  // namespace cuemu
