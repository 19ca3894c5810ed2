#include "embedding.h"
#include "row_lanes.h"
#include "storage.h"

namespace textnn::cuda {
namespace {

template <class Unit>
__global__ void __launch_bounds__(kRowThreads, 1) embedding_kernel(Embedding a, int64_t units, RowLanes lanes) {
  const Unit* table = static_cast<const Unit*>(a.table);
  Unit* y = static_cast<Unit*>(a.y);
  for (int64_t n = lanes.first_row(); n < a.N; n += lanes.row_stride()) {
    const int64_t id = a.ids[n];
    if (!is_row(id, a.V, n, lanes.lane() == 0)) continue;
    for (int64_t u = lanes.lane(); u < units; u += lanes.count()) y[n * units + u] = table[id * units + u];
  }
}

template <class Unit>
bool embedding_by(Stream stream, const Embedding& a) {
  constexpr int64_t size = sizeof(Unit);
  const uintptr_t places = reinterpret_cast<uintptr_t>(a.table) | reinterpret_cast<uintptr_t>(a.y);
  if (a.row_bytes % size || places % size) return false;
  const RowLanes lanes(a.row_bytes / size);
  check(CUDA_LAUNCH(embedding_kernel<Unit>, lanes.blocks(a.N), kRowThreads, 0, native(stream), a, a.row_bytes / size,
                    lanes),
        "embedding");
  return true;
}

// Sums in A, W neighbouring columns of a thread.
template <class A, int W>
struct Sum {
  A value[W] = {};

  template <class E>
  __device__ void add(const Pack<E, W>& x) {
#pragma unroll
    for (int w = 0; w < W; ++w) value[w] += load(x.element + w);
  }
  __device__ void load_from(const A* from) {
#pragma unroll
    for (int w = 0; w < W; ++w) value[w] = from[w];
  }
  __device__ void store_to(A* to) const {
#pragma unroll
    for (int w = 0; w < W; ++w) to[w] = value[w];
  }
  template <class E>
  __device__ void store_to(Pack<E, W>* to) const {
    Pack<E, W> x;
#pragma unroll
    for (int w = 0; w < W; ++w) store(x.element + w, value[w]);
    *to = x;
  }
};

// The ids rise: the first and the last speak for all. By a kernel of its own, as a call of printf costs registers.
__global__ void check_counted_ids_kernel(int64_t N, int64_t V, const int64_t* ids, const int64_t* position) {
  if (is_row(ids[0], V, position[0])) is_row(ids[N - 1], V, position[N - 1]);
}

template <class E, int W>
__global__ void __launch_bounds__(kRowThreads, 1) sum_tiles_kernel(EmbeddingBackward<E> a, RowLanes lanes) {
  constexpr int kAhead = 4;  // rows whose loads are under way at once
  using Columns = Pack<E, W>;
  const int64_t *ids = a.ids, packs = a.D / W, last = a.N - 1;
  const Columns* dy = reinterpret_cast<const Columns*>(a.dy);
  Columns* dtable = reinterpret_cast<Columns*>(a.dtable);
  for (int64_t tile = lanes.first_row(); tile * kGradientTile < a.N; tile += lanes.row_stride()) {
    const int64_t begin = tile * kGradientTile, end = begin + kGradientTile < a.N ? begin + kGradientTile : a.N;
    for (int64_t p = lanes.lane(); p < packs; p += lanes.count()) {
      bool begun_before = begin > 0 && ids[begin - 1] == ids[begin];
      Sum<Compute<E>, W> sum;
      for (int64_t first = begin; first < end; first += kAhead) {
        Columns row[kAhead];
#pragma unroll
        for (int k = 0; k < kAhead; ++k) {
          const int64_t i = first + k;
          row[k] = i < end && ids[i] != a.padding ? dy[a.position[i] * packs + p] : Columns{};
        }
#pragma unroll
        for (int k = 0; k < kAhead; ++k) {
          const int64_t i = first + k;
          if (i >= end) break;
          const int64_t id = ids[i];
          sum.add(row[k]);
          const bool goes_on = i < last && ids[i + 1] == id;
          if (goes_on && i + 1 < end) continue;
          if (!begun_before && !goes_on)
            sum.store_to(dtable + (a.place ? a.place[i] : id) * packs + p);
          else if (id != a.padding)
            sum.store_to(a.partial + (tile * 2 + (begun_before ? 0 : 1)) * a.D + p * W);
          sum = {};
          begun_before = false;
        }
      }
    }
  }
}

// A row of lanes for each tile whose last id goes on behind it and has begun in it.
template <class E, int W>
__global__ void __launch_bounds__(kRowThreads, 1) join_tiles_kernel(EmbeddingBackward<E> a, RowLanes lanes) {
  constexpr int kAhead = 4;
  const int64_t packs = a.D / W;
  Pack<E, W>* dtable = reinterpret_cast<Pack<E, W>*>(a.dtable);
  for (int64_t tile = lanes.first_row(); (tile + 1) * kGradientTile < a.N; tile += lanes.row_stride()) {
    const int64_t begin = tile * kGradientTile, end = begin + kGradientTile, id = a.ids[end - 1];
    if (a.ids[end] != id || (begin > 0 && a.ids[begin - 1] == id)) continue;
    const int64_t to = a.place ? a.place[end - 1] : id;
    for (int64_t p = lanes.lane(); p < packs; p += lanes.count()) {
      Sum<Compute<E>, W> sum;
      int found = kAhead;
      if (id != a.padding)
        sum.load_from(a.partial + (tile * 2 + 1) * a.D + p * W);
      else
        found = 0;
      for (int64_t t = tile + 1; found == kAhead; t += kAhead) {
        // Which of the next tiles begin with the id: the first ones.
        found = 0;
#pragma unroll
        for (int k = 0; k < kAhead; ++k) found += (t + k) * kGradientTile < a.N && a.ids[(t + k) * kGradientTile] == id;
        Sum<Compute<E>, W> part[kAhead];
#pragma unroll
        for (int k = 0; k < kAhead; ++k)
          if (k < found) part[k].load_from(a.partial + (t + k) * 2 * a.D + p * W);
#pragma unroll
        for (int k = 0; k < kAhead; ++k)
#pragma unroll
          for (int w = 0; w < W; ++w) sum.value[w] += part[k].value[w];
      }
      sum.store_to(dtable + to * packs + p);
    }
  }
}

template <class E, int W>
void embedding_backward_by(Stream stream, const EmbeddingBackward<E>& a) {
  const RowLanes lanes(a.D / W);
  const unsigned blocks = lanes.blocks((a.N + kGradientTile - 1) / kGradientTile);
  check(CUDA_LAUNCH((sum_tiles_kernel<E, W>), blocks, kRowThreads, 0, native(stream), a, lanes), "embedding_backward");
  if (a.N > kGradientTile)
    check(CUDA_LAUNCH((join_tiles_kernel<E, W>), blocks, kRowThreads, 0, native(stream), a, lanes),
          "embedding_backward");
}

}  // namespace

void embedding(Stream stream, const Embedding& a) {
  if (a.N == 0) return;
  embedding_by<Vector<uint32_t>>(stream, a) || embedding_by<uint64_t>(stream, a) || embedding_by<uint32_t>(stream, a) ||
      embedding_by<uint16_t>(stream, a);
}

template <class E>
void embedding_backward(Stream stream, const EmbeddingBackward<E>& a) {
  if (a.N == 0) return;
  check(CUDA_LAUNCH(check_counted_ids_kernel, 1, 1, 0, native(stream), a.N, a.V, a.ids, a.position),
        "embedding_backward");
  constexpr int W = Vector<E>::kSize;
  vectors_fit(a.D, a.dy, a.dtable) ? embedding_backward_by<E, W>(stream, a) : embedding_backward_by<E, 1>(stream, a);
}

template void embedding_backward(Stream, const EmbeddingBackward<float>&);
template void embedding_backward(Stream, const EmbeddingBackward<double>&);
template void embedding_backward(Stream, const EmbeddingBackward<Float16>&);
template void embedding_backward(Stream, const EmbeddingBackward<BFloat16>&);

}  // namespace textnn::cuda
