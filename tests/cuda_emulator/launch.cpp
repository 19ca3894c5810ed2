// A launch: its blocks on one OS thread or several.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <algorithm>
#include <stdexcept>
#include <thread>
#include "crew.h"
#include "launch_log.h"
#include "runtime_state.h"
#include "scheduler.h"

namespace cuemu {
namespace {

constexpr unsigned long long kMostBlocks = 1 << 24;

// Launches of several host threads come one after the other, as in one stream.
std::mutex& launching() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

// Kept for their memory; the first is for the launching thread.
std::vector<std::unique_ptr<Runner>>& runners(int n) {
  static auto* all = new std::vector<std::unique_ptr<Runner>>;
  while (int(all->size()) < n) all->push_back(std::make_unique<Runner>());
  return *all;
}

GlobalRaces* global_races() {
  if (!races_looked_for()) return nullptr;
  static auto* races = new GlobalRaces;
  if (races->memory.holds_much()) races->memory.clear();
  races->memory.forget();
  races->released.clear();
  return races;
}

int os_threads(const Order& order) {
  // A given order, and the race detector, need one course of events.
  if (order.kind != Order::kForward || races_looked_for()) return 1;
  const char* wanted = std::getenv("CUEMU_THREADS");
  return std::max(1, wanted ? std::atoi(wanted) : int(std::thread::hardware_concurrency()));
}

// "(kernel<float>)" in a launch is kernel<float> in a report.
std::string without_parentheses(const char* name) {
  const std::string text = name;
  return text.size() > 2 && text.front() == '(' && text.back() == ')' ? text.substr(1, text.size() - 2) : text;
}

void run_block(Launch& launch, Runner& runner, int block) {
  try {
    runner.run(launch, block);
  } catch (const std::exception& error) {
    launch.fail(std::string(launch.config.name) + ": " + error.what());
  }
}

void run(Launch& launch) {
  const int places = os_threads(launch.order);
  std::vector<int> order = launch.order.first(launch.blocks, launch.random);
  if (launch.config.cooperative) {
    launch.turns.begin(order, places);
    auto& seats = runners(launch.blocks);
    return run_crew(launch.blocks, [&](int block) {
      launch.turns.start(block);
      if (!launch.failed) run_block(launch, *seats[size_t(block)], block);
      if (!launch.turns.leave() && !launch.failed)
        launch.fail(std::string(launch.config.name) + ": grid.sync not reached by blocks that have returned");
    });
  }
  std::atomic<int> next{0};
  const int workers = std::min(places, launch.blocks);
  auto& seats = runners(workers);
  run_crew(workers, [&](int worker) {
    for (int i; !launch.failed && (i = next++) < launch.blocks;)
      run_block(launch, *seats[size_t(worker)], order[size_t(i)]);
  });
}

}  // namespace

Order Order::from_environment() {
  Order order;
  const char* wanted = std::getenv("CUEMU_ORDER");
  if (!wanted) return order;
  const char* seed = std::strchr(wanted, ':');
  const std::string name(wanted, seed ? size_t(seed - wanted) : std::strlen(wanted));
  if (seed) order.seed = unsigned(std::atoi(seed + 1));
  if (name == "reverse")
    order.kind = kReverse;
  else if (name == "random")
    order.kind = kRandom;
  else if (name != "forward")
    throw std::invalid_argument("CUEMU_ORDER is forward, reverse or random[:seed], not " + name);
  return order;
}

std::vector<int> Order::first(int n, std::mt19937& random) const {
  std::vector<int> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  if (kind == kReverse) std::reverse(order.begin(), order.end());
  next_round(order, random);
  return order;
}

void Order::next_round(std::vector<int>& order, std::mt19937& random) const {
  if (kind == kRandom) std::shuffle(order.begin(), order.end(), random);
}

Launch::Launch(const LaunchConfig& config_, void (*body_)(const void*), const void* arguments_, GlobalRaces* races_)
    : config(config_),
      body(body_),
      arguments(arguments_),
      races(races_),
      order(Order::from_environment()),
      blocks(int(config.grid.x * config.grid.y * config.grid.z)),
      threads(int(config.block.x * config.block.y * config.block.z)),
      allow_exited(std::getenv("CUEMU_ALLOW_EXITED") != nullptr),
      random(order.seed) {}

void Launch::fail(const std::string& reason) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error_.empty()) error_ = reason;
    failed = true;
  }
  turns.cancel();
}

std::string Launch::error() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

cudaError_t launch(const LaunchConfig& given, void (*body)(const void*), const void* arguments) {
  const std::string name = without_parentheses(given.name);
  LaunchConfig config = given;
  config.name = name.c_str();
  if (current) abandon(current_runner(), "launch of " + name + " in a kernel");
  if (const cudaError_t error = check_launch(config)) return set_last_error(error);
  if (1ull * config.grid.x * config.grid.y * config.grid.z > kMostBlocks)
    throw std::runtime_error(name + ": more blocks than the emulator takes");
  const std::lock_guard<std::mutex> lock(launching());
  log_launch({name, config.grid, config.block, config.shared, config.stream, config.cooperative});
  Launch launch(config, body, arguments, global_races());
  run(launch);
  if (launch.failed) throw std::runtime_error(launch.error());
  return cudaSuccess;
}

}  // namespace cuemu
