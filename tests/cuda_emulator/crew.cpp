#include "crew.h"
#include <unistd.h>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace cuemu {
namespace {

class Crew {
 public:
  void run(int n, const std::function<void(int)>& work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      while (int(members_.size()) < n - 1) {
        members_.push_back(std::make_unique<Member>());
        std::thread(&Crew::live, this, int(members_.size())).detach();
      }
      unfinished_ = n - 1;
      for (int i = 1; i < n; ++i) {
        members_[size_t(i - 1)]->work = &work;
        members_[size_t(i - 1)]->wake.notify_one();
      }
    }
    work(0);
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [&] { return unfinished_ == 0; });
  }

 private:
  struct Member {
    std::condition_variable wake;
    const std::function<void(int)>* work = nullptr;
  };

  void live(int i) {
    std::unique_lock<std::mutex> lock(mutex_);
    Member& me = *members_[size_t(i - 1)];
    for (;;) {
      me.wake.wait(lock, [&] { return me.work != nullptr; });
      const auto& work = *std::exchange(me.work, nullptr);
      lock.unlock();
      work(i);
      lock.lock();
      if (--unfinished_ == 0) finished_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<std::unique_ptr<Member>> members_;
  int unfinished_ = 0;
};

}  // namespace

void run_crew(int n, const std::function<void(int)>& work) {
  if (n == 1) return work(0);
  // Never deleted: its threads run until the process ends. A forked process has none of them and needs its own.
  static Crew* crew = nullptr;
  static pid_t owner = 0;
  if (owner != getpid()) {
    crew = new Crew;
    owner = getpid();
  }
  crew->run(n, work);
}

}  // namespace cuemu
