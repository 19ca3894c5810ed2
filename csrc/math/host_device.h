// Functions that the CPU kernels, the CUDA kernels and the emulated CUDA kernels share carry this mark.
#pragma once

#if defined(__CUDACC__)
#define TEXTNN_HOST_DEVICE __host__ __device__
#else
#define TEXTNN_HOST_DEVICE
#endif
