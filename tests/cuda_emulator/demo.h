// How the demonstration kernels are called through ctypes: functions return the launch's cudaError_t, or -1 for a
// failure of the kernel, whose report demo_failure() gives.
#pragma once
#include <exception>
#include <string>

#define DEMO extern "C" __attribute__((visibility("default")))

inline std::string& demo_report() {
  static std::string text;
  return text;
}

template <class F>
int reported(F&& launch) {
  try {
    return int(launch());
  } catch (const std::exception& error) {
    demo_report() = error.what();
    return -1;
  }
}
