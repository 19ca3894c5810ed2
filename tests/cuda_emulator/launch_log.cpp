#include "launch_log.h"
#include <algorithm>
#include <cstring>
#include <mutex>

namespace cuemu {
namespace {
bool enabled = false;
std::mutex mutex;
}  // namespace

std::vector<LaunchRecord>& launch_log() {
  static auto* log = new std::vector<LaunchRecord>;
  return *log;
}

void log_launch(const LaunchRecord& record) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (enabled && launch_log().size() < kLogEntries) launch_log().push_back(record);
}

}  // namespace cuemu

using cuemu::launch_log;

void cuemu_log_enable(int on) {
  const std::lock_guard<std::mutex> lock(cuemu::mutex);
  cuemu::enabled = on != 0;
}

void cuemu_log_clear() {
  const std::lock_guard<std::mutex> lock(cuemu::mutex);
  launch_log().clear();
}

size_t cuemu_log_size() {
  const std::lock_guard<std::mutex> lock(cuemu::mutex);
  return launch_log().size();
}

int cuemu_log_entry(size_t i, char* name, size_t n, unsigned* grid, unsigned* block, size_t* shared, void** stream,
                    int* cooperative) {
  const std::lock_guard<std::mutex> lock(cuemu::mutex);
  if (i >= launch_log().size()) return 0;
  const cuemu::LaunchRecord& record = launch_log()[i];
  if (name && n) name[record.name.copy(name, n - 1)] = 0;
  const auto copy = [](unsigned* to, const dim3& from) {
    if (to) to[0] = from.x, to[1] = from.y, to[2] = from.z;
  };
  copy(grid, record.grid);
  copy(block, record.block);
  if (shared) *shared = record.shared;
  if (stream) *stream = record.stream;
  if (cooperative) *cooperative = record.cooperative;
  return 1;
}
