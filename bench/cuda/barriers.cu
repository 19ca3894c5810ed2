// What a bare barrier costs on this device: of a block, of a cluster of blocks, of the grid. A line of JSON for each.
//
//   nvcc -O3 -std=c++17 -arch=sm_90 bench/cuda/barriers.cu -o barriers && ./barriers
//
// A kernel that does nothing but R barriers is timed by events for two R; the difference of the medians, divided by the
// difference of the R, leaves out the launch. The persistent LSTM pays one barrier of the grid for each time step.
#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace cg = cooperative_groups;

enum class Kind { block, cluster, grid };
constexpr int kThreads = 256, kFew = 500, kMany = 2500, kRepeats = 7;

template <Kind kind>
__global__ void barriers(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    if constexpr (kind == Kind::block) __syncthreads();
    if constexpr (kind == Kind::grid) cg::this_grid().sync();
#if __CUDA_ARCH__ >= 900
    if constexpr (kind == Kind::cluster) cg::this_cluster().sync();
#endif
  }
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("CUDA could not %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

struct Launch {
  const void* kernel;
  int blocks, cluster;  // blocks of a cluster
  bool cooperative;
};

void launch(const Launch& l, int rounds) {
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(unsigned(l.blocks));
  config.blockDim = dim3(kThreads);
  config.attrs = attributes;
  if (l.cooperative) {
    attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
    attributes[config.numAttrs++].val.cooperative = 1;
  }
  if (l.cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs].val.clusterDim.x = unsigned(l.cluster);
    attributes[config.numAttrs].val.clusterDim.y = attributes[config.numAttrs].val.clusterDim.z = 1;
    ++config.numAttrs;
  }
  void* arguments[] = {&rounds};
  check(cudaLaunchKernelExC(&config, l.kernel, arguments), "launch a kernel of barriers");
}

// Microseconds of a launch with so many barriers: the median.
double microseconds(const Launch& l, int rounds) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "create an event");
  check(cudaEventCreate(&end), "create an event");
  std::vector<float> times;
  for (int i = 0; i <= kRepeats; ++i) {
    check(cudaEventRecord(begin), "record an event");
    launch(l, rounds);
    check(cudaEventRecord(end), "record an event");
    check(cudaEventSynchronize(end), "finish a kernel of barriers");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "read the time");
    if (i > 0) times.push_back(milliseconds);  // the first one warms up
  }
  std::sort(times.begin(), times.end());
  return 1e3 * times[times.size() / 2];
}

void report(const char* of, const Launch& l) {
  const double one = (microseconds(l, kMany) - microseconds(l, kFew)) / (kMany - kFew);
  std::printf("{\"kind\": \"barrier\", \"of\": \"%s\", \"blocks\": %d, \"threads\": %d, \"us\": %.4f}\n", of,
              l.cluster > 1 ? l.cluster : l.blocks, kThreads, one);
  std::fflush(stdout);
}

int main() {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0), "find a device");
  report("block", {reinterpret_cast<const void*>(&barriers<Kind::block>), 1, 1, false});
  if (device.major >= 9) {
    const void* kernel = reinterpret_cast<const void*>(&barriers<Kind::cluster>);
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "allow large clusters");
    for (const int size : {2, 4, 8, 16}) report("cluster", {kernel, size, size, false});
  }
  if (device.cooperativeLaunch) {
    const void* kernel = reinterpret_cast<const void*>(&barriers<Kind::grid>);
    for (const int blocks : {8, 32, 64, device.multiProcessorCount, 2 * device.multiProcessorCount})
      report("grid", {kernel, blocks, 1, true});
  }
  return 0;
}
