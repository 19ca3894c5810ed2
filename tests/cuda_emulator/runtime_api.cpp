#include "runtime_api.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include "launch_log.h"
#include "runtime_state.h"

namespace cuemu {
namespace {

constexpr int kThreadsPerBlock = 1024, kThreadsPerMultiprocessor = 2048, kBlocksPerMultiprocessor = 32, kWarp = 32;
constexpr int kSharedByDefault = 48 << 10, kReservedShared = 1 << 10;

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::atoi(text) : otherwise;
}
int multiprocessors() { return from_environment("CUEMU_SMS", 4); }
int shared_opt_in() { return from_environment("CUEMU_SMEM", 227 << 10); }
int shared_per_multiprocessor() { return shared_opt_in() + kReservedShared; }
bool cooperative_launches() { return from_environment("CUEMU_COOPERATIVE", 1) != 0; }
std::pair<int, int> capability() {
  const char* text = std::getenv("CUEMU_CAPABILITY");
  if (!text || !*text) return {8, 0};
  const char* point = std::strchr(text, '.');
  return {std::atoi(text), point ? std::atoi(point + 1) : 0};
}

thread_local cudaError_t last_error = cudaSuccess;

std::mutex mutex;
std::map<const void*, int>& shared_allowed() {
  static auto* all = new std::map<const void*, int>;
  return *all;
}
int allowed_shared(const void* kernel) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = shared_allowed().find(kernel);
  return found == shared_allowed().end() ? std::min(kSharedByDefault, shared_opt_in()) : found->second;
}

cudaError_t check_device(int device) {
  if (multiprocessors() < 1) return cudaErrorNoDevice;
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge", "too many blocks in cooperative launch"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};
const ErrorText* find_error(cudaError_t error) {
  const auto found = std::find_if(std::begin(kErrors), std::end(kErrors), [&](auto& e) { return e.error == error; });
  return found == std::end(kErrors) ? nullptr : found;
}

}  // namespace

cudaError_t set_last_error(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (!kernel) return set_last_error(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout)
    return set_last_error(value >= -1 && value <= 100 ? cudaSuccess : cudaErrorInvalidValue);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > shared_opt_in())
    return set_last_error(cudaErrorInvalidValue);
  const std::lock_guard<std::mutex> lock(mutex);
  shared_allowed()[kernel] = value;
  return cudaSuccess;
}

cudaError_t occupancy(int* blocks, const void* kernel, int threads, size_t shared) {
  if (!blocks || threads < 1) return set_last_error(cudaErrorInvalidValue);
  if (const cudaError_t error = check_device(0)) return set_last_error(error);
  *blocks = 0;
  if (threads > kThreadsPerBlock || shared > size_t(allowed_shared(kernel))) return cudaSuccess;
  const int by_threads = kThreadsPerMultiprocessor / ((threads + kWarp - 1) / kWarp * kWarp);
  const int by_shared = shared_per_multiprocessor() / (int(shared) + kReservedShared);
  *blocks = std::min({by_threads, by_shared, kBlocksPerMultiprocessor});
  return cudaSuccess;
}

cudaError_t check_launch(const LaunchConfig& config) {
  if (const cudaError_t error = check_device(0)) return error;
  const dim3 &grid = config.grid, &block = config.block;
  const bool blocks_fit =
      grid.x >= 1 && grid.x <= 0x7fffffff && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
  const bool threads_fit = block.x >= 1 && block.x <= 1024 && block.y >= 1 && block.y <= 1024 && block.z >= 1 &&
                           block.z <= 64 && block.x * block.y * block.z <= unsigned(kThreadsPerBlock);
  if (!blocks_fit || !threads_fit) return cudaErrorInvalidConfiguration;
  if (config.shared > size_t(allowed_shared(config.kernel))) return cudaErrorInvalidValue;
  if (!config.cooperative) return cudaSuccess;
  if (!cooperative_launches()) return cudaErrorNotSupported;
  int resident = 0;
  const int threads = int(block.x * block.y * block.z);
  if (const cudaError_t error = occupancy(&resident, config.kernel, threads, config.shared)) return error;
  const unsigned long long wanted = 1ull * grid.x * grid.y * grid.z;
  return wanted <= 1ull * unsigned(resident) * unsigned(multiprocessors()) ? cudaSuccess
                                                                           : cudaErrorCooperativeLaunchTooLarge;
}

}  // namespace cuemu

using cuemu::set_last_error;

const char* cudaGetErrorName(cudaError_t error) {
  const auto* found = cuemu::find_error(error);
  return found ? found->name : "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  const auto* found = cuemu::find_error(error);
  return found ? found->text : "unrecognized error code";
}
cudaError_t cudaGetLastError() { return std::exchange(cuemu::last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return cuemu::last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = cuemu::multiprocessors() >= 1;
  return set_last_error(*count ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return set_last_error(cuemu::check_device(0));
}
cudaError_t cudaSetDevice(int device) { return set_last_error(cuemu::check_device(device)); }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  using namespace cuemu;
  if (const cudaError_t error = check_device(device)) return set_last_error(error);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedByDefault;
      break;
    case cudaDevAttrWarpSize:
      *value = kWarp;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = 65536;
      break;
    case cudaDevAttrClockRate:
      *value = 1410000;  // kHz
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = multiprocessors();
      break;
    case cudaDevAttrL2CacheSize:
      *value = 40 << 20;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = kThreadsPerMultiprocessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = capability().first;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = capability().second;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = shared_per_multiprocessor();
      break;
    case cudaDevAttrCooperativeLaunch:
      *value = cooperative_launches();
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = shared_opt_in();
      break;
    default:
      return set_last_error(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return set_last_error(cuemu::check_device(0)); }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return set_last_error(cuemu::check_device(0)); }

cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cuemu::from_environment("CUEMU_CAPTURING", 0) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

namespace cuemu {
cudaError_t get_attributes(cudaFuncAttributes* attributes, const void* kernel) {
  if (!kernel) return set_last_error(cudaErrorInvalidValue);
  const auto [major, minor] = capability();
  const int compiled = from_environment("CUEMU_COMPILED", 10 * major + minor);
  *attributes = {compiled, compiled};
  return cudaSuccess;
}
}  // namespace cuemu

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  if (!p && bytes) return set_last_error(cudaErrorInvalidValue);
  cuemu::log_launch({"cudaMemsetAsync", {0, 0, 0}, {0, 0, 0}, bytes, stream, false});
  if (bytes) std::memset(p, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (((!to || !from) && bytes) || kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
    return set_last_error(cudaErrorInvalidValue);
  cuemu::log_launch({"cudaMemcpyAsync", {0, 0, 0}, {0, 0, 0}, bytes, stream, false});
  if (bytes) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
