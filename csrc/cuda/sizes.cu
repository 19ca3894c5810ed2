#include "sizes.h"
#include <cstdio>
#include "launch.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kUploaded = 480;  // int64 in the 4 KB of a kernel's parameters
struct Uploaded {
  int64_t value[kUploaded];
};

__global__ void __launch_bounds__(kThreads, 1) upload_kernel(Uploaded values, int n, int64_t* to) {
  for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) to[i] = values.value[i];
}

__global__ void __launch_bounds__(kThreads, 1) sentence_bounds_kernel(SentenceBounds a) {
  for (int64_t b = first_element(); b < a.B; b += element_stride()) {
    const bool flat = a.kind == Sizes::kOffsets;
    const int64_t start = flat ? a.sizes[b] : b * a.L;
    const int64_t length = flat ? (b + 1 < a.B ? a.sizes[b + 1] : a.N) - start : a.sizes ? a.sizes[b] : a.L;
    if (length < 0 || start < 0 || (flat && b == 0 && start != 0) || start + length > (flat ? a.N : start + a.L)) {
      printf("textnn: sentence %lld has length %lld from token %lld, outside of its batch\n", (long long)b,
             (long long)length, (long long)start);
      __trap();
    }
    a.start[b] = start;
    a.length[b] = length;
  }
}

}  // namespace

int compiled_architecture() {
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, upload_kernel), "a query of the kernels");
  return attributes.ptxVersion;
}

void upload(Stream stream, const int64_t* host, int64_t n, int64_t* device) {
  for (int64_t begin = 0; begin < n; begin += kUploaded) {
    Uploaded values;
    const int count = int(std::min<int64_t>(kUploaded, n - begin));
    std::copy_n(host + begin, count, values.value);
    check(CUDA_LAUNCH(upload_kernel, 1, kThreads, 0, native(stream), values, count, device + begin), "upload");
  }
}

void sentence_bounds(Stream stream, const SentenceBounds& a) {
  if (a.B == 0) return;
  check(CUDA_LAUNCH(sentence_bounds_kernel, blocks_for(a.B, kThreads), kThreads, 0, native(stream), a),
        "sentence_bounds");
}

}  // namespace textnn::cuda
