#include "attention.h"
#include <cmath>
#include "scalar_math.h"
#include "storage.h"
#include "tiles.h"

namespace textnn::cuda {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kQueries = 4;     // of a block
constexpr int kStates = 4;      // of a block's turn
constexpr int64_t kTurns = 32;  // blocks that share out the states of a sentence, at most

__device__ inline int lane() { return int(threadIdx.x) % 32; }
__device__ inline int warp() { return int(threadIdx.x) / 32; }

// Of all lanes, for all of them.
template <class A>
__device__ inline A warp_sum(A v) {
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}
template <class A>
__device__ inline A greater(A a, A b) {  // a NaN is the greatest
  return b > a || b != b ? b : a;
}
template <class A>
__device__ inline A warp_max(A v) {
  for (int offset = 16; offset > 0; offset /= 2) v = greater(v, __shfl_xor_sync(0xffffffffu, v, offset));
  return v;
}

// A sentence, and queries first .. first + count of it.
template <class E>
struct Queries {
  int64_t b, first, length, room;  // room: states that there is memory for
  int count;
  const E* states;

  __device__ Queries(const Attention<E>& a, int64_t unit) {
    const int64_t parts = (a.Q + kQueries - 1) / kQueries;
    b = unit / parts;
    first = unit % parts * kQueries;
    count = int(a.Q - first < kQueries ? a.Q - first : kQueries);
    length = a.sentences.length[b];
    room = a.flat ? length : a.row;
    states = a.states + a.sentences.start[b] * a.H;
  }
};

// Where the weights of query q of sentence b stand.
template <class E>
__device__ inline int64_t weights_at(const Attention<E>& a, int64_t b, int64_t q) {
  return a.flat ? q * a.row + a.sentences.start[b] : (b * a.Q + q) * a.row;
}

// put(q, t, x[q] . state t) for the queries of the block.
template <class E, class Put>
__device__ inline void row_products(const Queries<E>& s, const E* x, int64_t H, Put&& put) {
  using A = Compute<E>;
  for (int64_t t = warp(); t < s.length; t += kWarps) {
    const E* state = s.states + t * H;
    A sum[kQueries] = {};
    for (int64_t h = lane(); h < H; h += 32) {
      const A v = load(state + h);
#pragma unroll
      for (int q = 0; q < kQueries; ++q)
        if (q < s.count) sum[q] += load(x + q * H + h) * v;
    }
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
      const A total = warp_sum(sum[q]);
      if (q < s.count && lane() == q) put(q, t, total);
    }
  }
}

// out[q] = sum over t of factor[q][t] times state t; factor(q): those of a query.
template <class E, class Factor>
__device__ inline void weighted_states(const Queries<E>& s, int64_t H, Factor&& factor, E* out) {
  using A = Compute<E>;
  const A* of[kQueries];
#pragma unroll
  for (int q = 0; q < kQueries; ++q) of[q] = factor(q < s.count ? q : 0);
  for (int64_t h = threadIdx.x; h < H; h += kThreads) {
    A sum[kQueries] = {};
    const E* state = s.states + h;
    for (int64_t t = 0; t < s.length; ++t, state += H) {
      const A v = load(state);
#pragma unroll
      for (int q = 0; q < kQueries; ++q) sum[q] += of[q][t] * v;
    }
#pragma unroll
    for (int q = 0; q < kQueries; ++q)
      if (q < s.count) store(out + q * H + h, sum[q]);
  }
}

template <class E>
__global__ void __launch_bounds__(kThreads, 1) attention_forward_kernel(AttentionForward<E> f, int64_t first) {
  using A = Compute<E>;
  const Attention<E>& a = f.attention;
  const Queries<E> s(a, first + blockIdx.x);
  const auto at = [&](int q) { return weights_at(a, s.b, s.first + q); };
  row_products(s, a.query + (s.b * a.Q + s.first) * a.H, a.H,
               [&](int q, int64_t t, A score) { f.unrounded[at(q) + t] = a.scale * score; });
  __syncthreads();
  for (int q = warp(); q < s.count; q += kWarps) {
    A *scores = f.unrounded + at(q), top = A(-INFINITY), sum = 0;
    for (int64_t t = lane(); t < s.length; t += 32) top = greater(top, scores[t]);
    top = warp_max(top);
    for (int64_t t = lane(); t < s.length; t += 32) {
      const A e = ScalarMath<A>::exp(scores[t] - top);
      scores[t] = e;
      sum += e;
    }
    sum = warp_sum(sum);
    for (int64_t t = lane(); t < s.length; t += 32) {
      const A p = scores[t] / sum;
      scores[t] = p;
      if (f.weights) store(f.weights + at(q) + t, p);
    }
    if (f.weights)
      for (int64_t t = s.length + lane(); t < s.room; t += 32) store(f.weights + at(q) + t, A(0));
  }
  __syncthreads();
  weighted_states(s, a.H, [&](int q) { return f.unrounded + at(q); }, f.context + (s.b * a.Q + s.first) * a.H);
}

// dscores = p (dp - sum(p dp)) scale, with p the weights and dp their gradient.
template <class E>
__global__ void __launch_bounds__(kThreads, 1)
    attention_backward_queries_kernel(AttentionBackward<E> f, int64_t first) {
  using A = Compute<E>;
  const Attention<E>& a = f.attention;
  const Queries<E> s(a, first + blockIdx.x);
  const int64_t row = (s.b * a.Q + s.first) * a.H;
  const auto at = [&](int q) { return weights_at(a, s.b, s.first + q); };
  if (f.dcontext)
    row_products(s, f.dcontext + row, a.H, [&](int q, int64_t t, A product) {
      f.dscores[at(q) + t] = f.dweights ? product + load(f.dweights + at(q) + t) : product;
    });
  __syncthreads();
  for (int q = warp(); q < s.count; q += kWarps) {
    const E* p = f.weights + at(q);
    A *d = f.dscores + at(q), sum = 0;
    const auto gradient = [&](int64_t t) {
      return f.dcontext ? d[t] : f.dweights ? load(f.dweights + at(q) + t) : A(0);
    };
    for (int64_t t = lane(); t < s.length; t += 32) sum += load(p + t) * gradient(t);
    sum = warp_sum(sum);
    for (int64_t t = lane(); t < s.length; t += 32) d[t] = load(p + t) * (gradient(t) - sum) * a.scale;
  }
  __syncthreads();
  weighted_states(s, a.H, [&](int q) { return f.dscores + at(q); }, f.dquery + row);
}

// After the other one. turns: blocks for each sentence.
template <class E>
__global__ void __launch_bounds__(kThreads, 1)
    attention_backward_states_kernel(AttentionBackward<E> f, int64_t turns, int64_t first) {
  using A = Compute<E>;
  const Attention<E>& a = f.attention;
  const int64_t unit = first + blockIdx.x, b = unit / turns, length = a.sentences.length[b];
  const int64_t room = a.flat ? length : a.row;
  for (int64_t begin = unit % turns * kStates; begin < room; begin += turns * kStates) {
    const int count = int(room - begin < kStates ? room - begin : kStates);
    for (int64_t h = threadIdx.x; h < a.H; h += kThreads) {
      A sum[kStates] = {};
      for (int64_t q = 0; q < a.Q && begin < length; ++q) {
        const int64_t at = weights_at(a, b, q) + begin, from = (b * a.Q + q) * a.H + h;
        const A x = load(a.query + from), g = f.dcontext ? load(f.dcontext + from) : A(0);
#pragma unroll
        for (int i = 0; i < kStates; ++i)
          if (begin + i < length) sum[i] += f.dscores[at + i] * x + load(f.weights + at + i) * g;
      }
      E* to = f.dstates + (a.sentences.start[b] + begin) * a.H + h;
#pragma unroll
      for (int i = 0; i < kStates; ++i)
        if (i < count) store(to + i * a.H, sum[i]);
    }
  }
}

template <class E>
int64_t query_blocks(const Attention<E>& a) {
  return a.sentences.B * ((a.Q + kQueries - 1) / kQueries);
}

}  // namespace

template <class E>
void attention_forward(Stream stream, const AttentionForward<E>& f) {
  for_blocks(query_blocks(f.attention), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(attention_forward_kernel<E>, count, kThreads, 0, native(stream), f, first), "ragged_attention");
  });
}

template <class E>
void attention_backward(Stream stream, const AttentionBackward<E>& f) {
  const Attention<E>& a = f.attention;
  for_blocks(query_blocks(a), [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(attention_backward_queries_kernel<E>, count, kThreads, 0, native(stream), f, first),
          "ragged_attention_backward");
  });
  const int64_t turns = std::max<int64_t>(1, std::min((a.row + kStates - 1) / kStates, kTurns));
  for_blocks(a.sentences.B * turns, [&](int64_t first, unsigned count) {
    check(CUDA_LAUNCH(attention_backward_states_kernel<E>, count, kThreads, 0, native(stream), f, turns, first),
          "ragged_attention_backward");
  });
}

#define TEXTNN_ATTENTION(E)                                            \
  template void attention_forward(Stream, const AttentionForward<E>&); \
  template void attention_backward(Stream, const AttentionBackward<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_ATTENTION)
#undef TEXTNN_ATTENTION

}  // namespace textnn::cuda
