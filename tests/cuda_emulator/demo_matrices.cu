// Matrix products and a recurrence over several blocks, each right or with one mistake, for test_emulator.py.
#include "cuda_emulator.h"
#include "demo.h"

namespace wmma = nvcuda::wmma;

namespace {

enum Mistake { kNone, kNoSecondBarrier, kNoFirstBarrier };

// c [M, N] = a [M, K] b [K, N] in tiles of T x T.
template <int T, Mistake mistake>
__global__ void gemm_kernel(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int M,
                            int N, int K) {
  __shared__ float tile_a[T][T + 1], tile_b[T][T + 1];
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * T + y, column = blockIdx.x * T + x;
  float sum = 0;
  for (int k0 = 0; k0 < K; k0 += T) {
    tile_a[y][x] = row < M && k0 + x < K ? a[row * K + k0 + x] : 0;
    tile_b[y][x] = column < N && k0 + y < K ? b[(k0 + y) * N + column] : 0;
    if (mistake != kNoFirstBarrier) __syncthreads();
#pragma unroll
    for (int k = 0; k < T; ++k) sum += tile_a[y][k] * tile_b[k][x];
    if (mistake != kNoSecondBarrier) __syncthreads();
  }
  if (row < M && column < N) c[row * N + column] = sum;
}

template <Mistake mistake>
cudaError_t gemm(const float* a, const float* b, float* c, int M, int N, int K) {
  constexpr int T = 8;
  return CUDA_LAUNCH((gemm_kernel<T, mistake>), dim3((N + T - 1) / T, (M + T - 1) / T), dim3(T, T), 0, nullptr, a, b, c,
                     M, N, K);
}

// h[t + 1] = tanh(w h[t] + x[t]); each block keeps its rows of w [H, H] in shared memory; h alternates between the two
// rows of h [2, H].
template <bool grid_sync>
__global__ void recurrence_kernel(const float* __restrict__ w, const float* __restrict__ x, float* h, int H,
                                  int steps) {
  CUDA_DYNAMIC_SHARED(float, shared);
  const auto grid = cooperative_groups::this_grid();
  const int rows = H / gridDim.x, first = blockIdx.x * rows;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  float *own = shared, *in = shared + rows * H;
  for (int i = threadIdx.x; i < rows * H; i += blockDim.x) own[i] = w[first * H + i];
  for (int t = 0; t < steps; ++t) {
    for (int i = threadIdx.x; i < H; i += blockDim.x) in[i] = __ldcg(h + (t & 1) * H + i);
    __syncthreads();
    for (int r = warp; r < rows; r += warps) {
      float sum = 0;
      for (int k = lane; k < H; k += 32) sum += own[r * H + k] * in[k];
      for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
      if (lane == 0) h[(~t & 1) * H + first + r] = tanhf(sum + x[t * H + first + r]);
    }
    if (grid_sync)
      grid.sync();
    else
      __syncthreads();
  }
}

// c [M, N] = a [M, K] b [N, K]^T, a warp for each tile; through shared memory where `staged`.
template <class T, int MM, int NN, int KK, bool staged>
__global__ void wmma_kernel(const typename wmma::emulated::Element<T>::Stored* a,
                            const typename wmma::emulated::Element<T>::Stored* b,
                            std::conditional_t<std::is_same_v<T, double>, double, float>* c, int N, int K,
                            bool rounded) {
  using Stored = typename wmma::emulated::Element<T>::Stored;
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  __shared__ __align__(32) Stored tile[MM * KK];
  wmma::fragment<wmma::matrix_a, MM, NN, KK, T, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, MM, NN, KK, T, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, MM, NN, KK, Sum> fc;
  wmma::fill_fragment(fc, 0.0f);
  const int m = blockIdx.y * MM, n = blockIdx.x * NN;
  for (int k = 0; k < K; k += KK) {
    if (staged) {
      for (int i = threadIdx.x; i < MM * KK; i += 32) tile[i] = a[(m + i / KK) * K + k + i % KK];
      __syncwarp();
      wmma::load_matrix_sync(fa, tile, KK);
      __syncwarp();
    } else {
      wmma::load_matrix_sync(fa, a + m * K + k, K);
    }
    wmma::load_matrix_sync(fb, b + n * K + k, K);
    if constexpr (std::is_same_v<T, wmma::precision::tf32>) {
      for (float& e : fa.x) e = rounded ? wmma::__float_to_tf32(e) : e;
      for (float& e : fb.x) e = rounded ? wmma::__float_to_tf32(e) : e;
    }
    wmma::mma_sync(fc, fa, fb, fc);
  }
  wmma::store_matrix_sync(c + m * N + n, fc, N, wmma::mem_row_major);
}

template <class T, int MM, int NN, int KK>
int product(const void* a, const void* b, void* c, int M, int N, int K, bool staged, bool rounded = true) {
  using Stored = typename wmma::emulated::Element<T>::Stored;
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto kernel = staged ? wmma_kernel<T, MM, NN, KK, true> : wmma_kernel<T, MM, NN, KK, false>;
  return reported([&] {
    return CUDA_LAUNCH(kernel, dim3(N / NN, M / MM), 32, 0, nullptr, static_cast<const Stored*>(a),
                       static_cast<const Stored*>(b), static_cast<Sum*>(c), N, K, rounded);
  });
}

}  // namespace

DEMO int demo_gemm(const float* a, const float* b, float* c, int M, int N, int K, int mistake) {
  return reported([&] {
    return mistake == kNone              ? gemm<kNone>(a, b, c, M, N, K)
           : mistake == kNoSecondBarrier ? gemm<kNoSecondBarrier>(a, b, c, M, N, K)
                                         : gemm<kNoFirstBarrier>(a, b, c, M, N, K);
  });
}

DEMO int demo_recurrence(const float* w, const float* x, float* h, int H, int steps, int blocks, int grid_sync) {
  const size_t bytes = (size_t(H / blocks) * H + H) * sizeof(float);
  const auto kernel = grid_sync ? recurrence_kernel<true> : recurrence_kernel<false>;
  return reported([&] {
    if (const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)))
      return error;
    return CUDA_LAUNCH_COOPERATIVE(kernel, blocks, 64, bytes, nullptr, w, x, h, H, steps);
  });
}

// For 't', `wide` leaves the rounding of the operands to the hardware.
DEMO int demo_wmma(char type, int wide, const void* a, const void* b, void* c, int M, int N, int K, int staged) {
  switch (type) {
    case 't':
      return product<wmma::precision::tf32, 16, 16, 8>(a, b, c, M, N, K, staged, !wide);
    case 'd':
      return product<double, 8, 8, 4>(a, b, c, M, N, K, staged);
    case 'h':
      return wide ? product<__half, 8, 32, 16>(a, b, c, M, N, K, staged)
                  : product<__half, 16, 16, 16>(a, b, c, M, N, K, staged);
    default:
      return wide ? product<__nv_bfloat16, 8, 32, 16>(a, b, c, M, N, K, staged)
                  : product<__nv_bfloat16, 16, 16, 16>(a, b, c, M, N, K, staged);
  }
}
