// One warp for each row: it finds the row's step by bisection, which costs less than the row's bytes, and copies the
// row with its lanes side by side, in vectors of 16 bytes where the addresses allow.
#include "rows.h"
#include <cstdio>
#include "storage.h"

namespace textnn::cuda {
namespace {

constexpr int kThreads = 256, kRowsAtOnce = kThreads / 32;

struct Place {
  int64_t b, t;
};
__device__ Place place_of(const Schedule& s, int64_t row) {
  int64_t low = 0, high = s.T;  // first_row[low] <= row < first_row[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (s.first_row[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  return {row - s.first_row[low], low};
}

__device__ int64_t checked(int64_t id, int64_t V) {
  if (id < 0 || id >= V) {
    printf("textnn: ids must lie in [0, V) = [0, %lld), got %lld\n", (long long)V, (long long)id);
    __trap();
  }
  return id;
}

template <class V, class E>
__global__ void __launch_bounds__(kThreads, 1) pack_rows_kernel(PackRows<E> a) {
  const int lane = int(threadIdx.x) % 32;
  const int64_t count = a.schedule.first_row[a.schedule.T], width = a.D * int64_t(sizeof(E)) / int64_t(sizeof(V));
  for (int64_t r = first_element() / 32; r < a.schedule.rows; r += element_stride() / 32) {
    V* to = reinterpret_cast<V*>(a.to + r * a.D);
    if (r < count) {
      const Place p = place_of(a.schedule, r);
      int64_t at = offset(a.layout, a.schedule, p.b, p.t);
      if (a.ids) at = checked(a.ids[at], a.V) * a.D;
      const V* from = reinterpret_cast<const V*>(a.from + at);
      for (int64_t i = lane; i < width; i += 32) to[i] = from[i];
    } else {
      for (int64_t i = lane; i < width; i += 32) to[i] = V{};
    }
  }
}

template <int N, class E>
__global__ void __launch_bounds__(kThreads, 1) unpack_rows_kernel(UnpackRows<E> a) {
  const int lane = int(threadIdx.x) % 32;
  const int64_t count = a.schedule.first_row[a.schedule.T];
  for (int64_t r = first_element() / 32; r < count; r += element_stride() / 32) {
    const Place p = place_of(a.schedule, r);
    E* to = a.to + offset(a.layout, a.schedule, p.b, p.t);
    for (int64_t i = lane * N; i < a.D; i += 32 * N) {
      Compute<E> v[N], w[N];
      load_some<N>(a.from + r * a.D + i, v);
      if (a.more) {
        load_some<N>(a.more + r * a.D + i, w);
#pragma unroll
        for (int k = 0; k < N; ++k) v[k] += w[k];
      }
      store_some<N>(to + i, v);
    }
  }
}

// Whether every row of the layout begins at a multiple of n elements.
bool rows_fit(const Layout& l, int64_t n) {
  return l.step_stride % n == 0 && (l.order != Order::kPadded || l.sequence_stride % n == 0);
}

}  // namespace

template <class E>
void pack_rows(Stream stream, const PackRows<E>& a) {
  if (a.schedule.rows * a.D == 0) return;
  const unsigned blocks = blocks_for(a.schedule.rows, kRowsAtOnce);
  const bool vectors = vectors_fit(a.D, a.from, a.to) && (a.ids || rows_fit(a.layout, Vector<E>::kSize));
  if (vectors)
    check(CUDA_LAUNCH((pack_rows_kernel<Vector<E>, E>), blocks, kThreads, 0, native(stream), a), "pack_rows");
  else
    check(CUDA_LAUNCH((pack_rows_kernel<E, E>), blocks, kThreads, 0, native(stream), a), "pack_rows");
}

template <class E>
void unpack_rows(Stream stream, const UnpackRows<E>& a) {
  if (a.schedule.rows * a.D == 0) return;
  const unsigned blocks = blocks_for(a.schedule.rows, kRowsAtOnce);
  constexpr int N = Vector<E>::kSize;
  if (vectors_fit(a.D, a.from, a.to, a.more ? a.more : a.from) && rows_fit(a.layout, N))
    check(CUDA_LAUNCH((unpack_rows_kernel<N, E>), blocks, kThreads, 0, native(stream), a), "unpack_rows");
  else
    check(CUDA_LAUNCH((unpack_rows_kernel<1, E>), blocks, kThreads, 0, native(stream), a), "unpack_rows");
}

#define TEXTNN_INSTANTIATE(E)                          \
  template void pack_rows(Stream, const PackRows<E>&); \
  template void unpack_rows(Stream, const UnpackRows<E>&);
TEXTNN_FOR_EACH_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE
template void pack_rows(Stream, const PackRows<int32_t>&);
template void pack_rows(Stream, const PackRows<int64_t>&);

}  // namespace textnn::cuda
