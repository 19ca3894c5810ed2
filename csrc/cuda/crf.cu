// A step costs K additions and exponentials for each thread and one or two barriers: sequences, not steps, keep the GPU
// busy. Everything that is summed over steps is divided by its greatest part first.
#include "crf.h"
#include <cmath>
#include <cstdio>
#include "../math/crf.h"
#include "scalar_math.h"
#include "tiles.h"

namespace textnn::cuda {
namespace {

constexpr int kMostThreads = 256;

template <class E>
__device__ inline bool none(E score) {
  return score == E(-INFINITY);
}

// log of the sum of n exponentials of f(i); top: the greatest.
template <class E, class F>
__device__ inline E log_sum(int64_t n, F&& f, E& top) {
  top = E(-INFINITY);
  for (int64_t i = 0; i < n; ++i) {
    const E v = f(i);
    if (v > top || v != v) top = v;
  }
  if (none(top)) return top;
  E sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += ScalarMath<E>::exp(f(i) - top);
  return top + log(sum);
}
template <class E, class F>
__device__ inline E log_sum(int64_t n, F&& f) {
  E top;
  return log_sum<E>(n, f, top);
}

// The greatest of the emissions of a step. It is taken off first: differences of large scores are exact, and what is
// added to them then is small.
template <class E>
__device__ inline E greatest(const E* x, int64_t K) {
  E top = x[0];
  for (int64_t i = 1; i < K; ++i)
    if (x[i] > top) top = x[i];
  return none(top) ? E(0) : top;
}

// A sequence of the batch.
template <class E>
struct Sequence {
  int64_t b, first, length;

  __device__ Sequence(const Crf<E>& a, int64_t b_)
      : b(b_), first(a.time_major ? b_ : a.sentences.start[b_]), length(a.sentences.length[b_]) {}
  __device__ int64_t row(const Crf<E>& a, int64_t t) const { return first + t * a.step; }
  __device__ int64_t tag(const Crf<E>& a, int64_t t) const {
    const int64_t y = a.tags[row(a, t)];
    if (uint64_t(y) >= uint64_t(a.K)) {
      printf("textnn: tags must lie in [0, %lld), got %lld at step %lld of sequence %lld\n", (long long)a.K,
             (long long)y, (long long)t, (long long)b);
      __trap();
    }
    return y;
  }
};

template <class E>
__device__ double path_score(const Crf<E>& a, const Sequence<E>& s) {
  double score = 0;
  int64_t before = 0;
  for (int64_t t = 0; t < s.length; ++t) {
    const int64_t tag = s.tag(a, t);
    score += double(a.x[s.row(a, t) * a.K + tag]) + double(t ? a.transitions[before * a.K + tag] : a.start[tag]);
    before = tag;
  }
  return s.length ? score + double(a.end[before]) : 0;
}

template <class E>
__global__ void __launch_bounds__(kMostThreads, 1) crf_forward_kernel(CrfForward<E> a, int64_t first) {
  CUDA_DYNAMIC_SHARED(E, shared);  // [2, K]
  const Crf<E>& crf = a.crf;
  const int64_t K = crf.K;
  const Sequence<E> s(crf, first + blockIdx.x);
  double offset = 0;
  for (int64_t t = 0; t < s.length; ++t) {
    const E *x = crf.x + s.row(crf, t) * K, *before = shared + (t + 1) % 2 * K;
    E* alpha = shared + t % 2 * K;
    const E high = greatest(x, K), top = t > 0 ? greatest(before, K) : E(0);
    offset += double(high) + double(top);
    for (int64_t j = threadIdx.x; j < K; j += blockDim.x) {
      const E sum = t == 0 ? crf.start[j]
                           : log_sum<E>(K, [&](int64_t i) { return before[i] - top + crf.transitions[i * K + j]; });
      alpha[j] = x[j] - high + sum;
      if (a.alphas) a.alphas[s.row(crf, t) * K + j] = alpha[j];
    }
    __syncthreads();
  }
  if (threadIdx.x > 0 || !a.y) return;
  const E* last = shared + (s.length + 1) % 2 * K;
  const double log_z = s.length ? offset + double(log_sum<E>(K, [&](int64_t j) { return last[j] + crf.end[j]; })) : 0;
  a.y[s.b] = none(log_z) ? E(-INFINITY) : E((crf.tags ? path_score(crf, s) : 0) - log_z);
}

template <class E>
__global__ void __launch_bounds__(kMostThreads, 1) crf_backward_kernel(CrfBackward<E> a) {
  CUDA_DYNAMIC_SHARED(E, shared);  // [3, K]
  const Crf<E>& crf = a.crf;
  const int64_t K = crf.K;
  E* beta = shared + 2 * K;
  E* pairs = a.dtransitions ? a.sums + blockIdx.x * (K * K + 2 * K) : nullptr;  // then start [K], end [K]
  for (int64_t j = threadIdx.x; pairs && j < K; j += blockDim.x)
    for (int64_t i = 0; i < K + 2; ++i) pairs[i * K + j] = 0;
  int turn = 0;  // of the two rows that hold emissions and betas
  for (int64_t b = blockIdx.x; b < crf.sentences.B; b += gridDim.x) {
    const Sequence<E> s(crf, b);
    const E g = pairs ? a.dy[b] : E(-1);
    for (int64_t t = s.length; t < crf.longest; ++t)
      for (int64_t j = threadIdx.x; j < K; j += blockDim.x) a.dx[s.row(crf, t) * K + j] = 0;
    for (int64_t t = s.length - 1; t >= 0; --t) {
      const bool last = t + 1 == s.length;
      const E *alpha = a.alphas + s.row(crf, t) * K, *next = shared + turn * K;
      if (!last) {
        __syncthreads();
        for (int64_t i = threadIdx.x; i < K; i += blockDim.x)
          beta[i] = log_sum<E>(K, [&](int64_t j) { return crf.transitions[i * K + j] + next[j]; });
        __syncthreads();
      }
      const E* from = last ? crf.end : beta;
      const E* x = crf.x + s.row(crf, t) * K;
      const E high = greatest(x, K);
      const E norm = log_sum<E>(K, [&](int64_t j) { return alpha[j] + from[j]; });
      const bool no_path = last && none(norm);
      // Not at the first step: threads may still read here when others have gone on to the next sequence.
      if (t > 0) turn = 1 - turn;
      E* emission_and_beta = shared + turn * K;
      const int64_t tag = crf.tags && !no_path ? s.tag(crf, t) : -1,
                    following = tag < 0 || last ? -1 : s.tag(crf, t + 1);
      for (int64_t j = threadIdx.x; j < K; j += blockDim.x) {
        const E p = no_path ? E(0) : ScalarMath<E>::exp(alpha[j] + from[j] - norm);
        const E d = (j == tag ? g : E(0)) - g * p;
        a.dx[s.row(crf, t) * K + j] = d;
        if (t > 0) emission_and_beta[j] = x[j] - high + (from[j] - norm);
        if (!pairs) continue;
        if (t == 0) pairs[K * K + j] += d;
        if (last) pairs[K * K + K + j] += d;
        if (last) continue;
        for (int64_t i = 0; i < K; ++i)
          pairs[i * K + j] -= g * ScalarMath<E>::exp(alpha[i] + crf.transitions[i * K + j] + next[j] - norm);
        if (j == following) pairs[tag * K + j] += g;
      }
      if (no_path) {
        for (; t >= 0; --t)
          for (int64_t j = threadIdx.x; j < K; j += blockDim.x) a.dx[s.row(crf, t) * K + j] = 0;
        break;
      }
    }
  }
}

template <class E>
__global__ void __launch_bounds__(kMostThreads, 1) crf_sum_kernel(CrfBackward<E> a) {
  const int64_t K = a.crf.K, n = K * K + 2 * K;
  for (int64_t i = first_element(); i < n; i += element_stride()) {
    E sum = 0;
    for (int64_t run = 0; run < a.runs; ++run) sum += a.sums[run * n + i];
    *(i < K * K ? a.dtransitions + i : i < K * K + K ? a.dstart + (i - K * K) : a.dend + (i - K * K - K)) = sum;
  }
}

template <class E>
__global__ void __launch_bounds__(kMostThreads, 1) crf_decode_kernel(CrfDecode<E> a, int64_t first) {
  Crf<E> crf = a.crf;
  const int64_t K = crf.K, n = a.best;
  const Sequence<E> s(crf, first + blockIdx.x);
  E* scores = a.ahead + s.b * 2 * K * n;
  for (int64_t t = 0; t < s.length; ++t) {
    const E *x = crf.x + s.row(crf, t) * K, *before = scores + (t + 1) % 2 * K * n;
    E* score = scores + t % 2 * K * n;
    E top = 0;  // of the step before; taken off, so that a long sequence loses no precision
    for (int64_t i = 0; t > 0 && i < K; ++i)
      if (i == 0 || before[i * n] > top) top = before[i * n];
    if (!(top > E(-INFINITY) && top < E(INFINITY))) top = 0;
    for (int64_t j = threadIdx.x; j < K; j += blockDim.x) {
      if (t == 0) {
        for (int64_t rank = 0; rank < n; ++rank) score[j * n + rank] = rank ? E(-INFINITY) : crf.start[j] + x[j];
        continue;
      }
      int32_t* from = a.from + (s.row(crf, t) * K + j) * n;
      const auto step = [&](int64_t i) { return crf.transitions[i * K + j]; };
      const auto put = [&](int64_t rank, E value, int64_t at) {
        score[j * n + rank] = value - top + x[j];
        from[rank] = int32_t(at);
      };
      int32_t one[1];
      if (n == 1) {
        E best = E(-INFINITY);
        one[0] = 0;
        for (int64_t i = 0; i < K; ++i)
          if (before[i] + step(i) > best) {
            best = before[i] + step(i);
            one[0] = int32_t(i);
          }
        put(0, best, one[0]);
      } else {
        math::merge_best<E>(K, n, before, step, a.heads + (s.b * K + j) * K, put);
      }
    }
    __syncthreads();
  }
  for (int64_t rank = 0; rank < n; ++rank)
    for (int64_t t = s.length + threadIdx.x; t < crf.longest; t += blockDim.x)
      a.tags[rank * a.rows + s.row(crf, t)] = 0;
  if (threadIdx.x > 0) return;
  const E* last = scores + (s.length + 1) % 2 * K * n;
  const auto put = [&](int64_t rank, E value, int64_t at) {
    int64_t* tags = a.tags + rank * a.rows;
    for (int64_t t = s.length - 1; t >= 0; --t) {
      tags[s.row(crf, t)] = none(value) ? 0 : at / n;
      if (t > 0) at = a.from[s.row(crf, t) * K * n + at];
    }
    crf.tags = tags;
    a.scores[rank * crf.sentences.B + s.b] = rank > 0 && none(value) ? value : E(path_score(crf, s));
  };
  if (s.length == 0) {
    for (int64_t rank = 0; rank < n; ++rank) put(rank, rank ? E(-INFINITY) : E(0), 0);
  } else if (n == 1) {
    E best = E(-INFINITY);
    int64_t at = 0;
    for (int64_t i = 0; i < K; ++i)
      if (last[i] + crf.end[i] > best) {
        best = last[i] + crf.end[i];
        at = i;
      }
    put(0, E(0), at);
  } else {
    math::merge_best<E>(K, n, last, [&](int64_t i) { return crf.end[i]; }, a.heads + s.b * K * K, put);
  }
}

inline unsigned threads_for(int64_t K) { return unsigned(std::min<int64_t>((K + 31) / 32 * 32, kMostThreads)); }

}  // namespace

template <class E>
void crf_forward(Stream stream, const CrfForward<E>& a) {
  const size_t shared = size_t(2 * a.crf.K) * sizeof(E);
  for_blocks(a.crf.sentences.B, [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(crf_forward_kernel<E>, count, threads_for(a.crf.K), shared, native(stream), a, first),
          "crf_forward");
  });
}

template <class E>
void crf_backward(Stream stream, const CrfBackward<E>& a) {
  const size_t shared = size_t(3 * a.crf.K) * sizeof(E);
  const int64_t K = a.crf.K;
  if (a.runs > 0)
    check(CUDA_LAUNCH(crf_backward_kernel<E>, unsigned(a.runs), threads_for(K), shared, native(stream), a),
          "crf_backward");
  if (a.dtransitions)
    check(CUDA_LAUNCH(crf_sum_kernel<E>, blocks_for(K * K + 2 * K, kMostThreads), kMostThreads, 0, native(stream), a),
          "crf_backward");
}

template <class E>
void crf_decode(Stream stream, const CrfDecode<E>& a) {
  for_blocks(a.crf.sentences.B, [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(crf_decode_kernel<E>, count, threads_for(a.crf.K), 0, native(stream), a, first), "crf_decode");
  });
}

#define TEXTNN_INSTANTIATE(E)                                \
  template void crf_forward(Stream, const CrfForward<E>&);   \
  template void crf_backward(Stream, const CrfBackward<E>&); \
  template void crf_decode(Stream, const CrfDecode<E>&);
TEXTNN_INSTANTIATE(float)
TEXTNN_INSTANTIATE(double)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
