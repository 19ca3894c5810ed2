#include "adam.h"
#include "row_lanes.h"

namespace textnn::cuda {
namespace {

using math::AdamHistory;
using math::AdamRates;
using math::AdamStep;
using math::Missed;

__device__ float root(float x) { return sqrtf(x); }
__device__ double root(double x) { return ::sqrt(x); }

// Checks have kernels of their own: they come before anything changes, and a call of printf costs registers.

// Rising rows are distinct, so that threads do not meet.
__global__ void __launch_bounds__(kRowThreads, 1) check_rows_kernel(int64_t U, int64_t V, const int64_t* rows) {
  for (int64_t u = first_element(); u < U; u += element_stride()) {
    const int64_t row = rows[u];
    if (row >= 0 && row < V && (u == 0 || rows[u - 1] < row)) continue;
    printf("textnn: rows must rise and lie in [0, %lld), got %lld at position %lld\n", (long long)V, (long long)row,
           (long long)u);
    __trap();
  }
}

// The rows' own steps must lie in the history.
__global__ void __launch_bounds__(kRowThreads, 1)
    check_last_kernel(AdamHistory history, const int32_t* last, int64_t V, int64_t N, const int64_t* rows) {
  for (int64_t n = first_element(); n < N; n += element_stride()) {
    const int64_t row = rows ? rows[n] : n;
    if (row < 0 || row >= V) continue;
    const int32_t seen = last[row];
    if (seen == -1 || (seen >= history.base && seen <= history.step)) continue;
    printf("textnn: last must be -1 or a step from %lld to %lld, got %d for row %lld\n", (long long)history.base,
           (long long)history.step, int(seen), (long long)row);
    __trap();
  }
}

// What each row missed, which it is then marked not to have. A count of 0 is a row that has nothing to catch up with.
// An id may occur often: of several threads with one row, the one that marks it takes it.
__global__ void __launch_bounds__(kRowThreads, 1)
    missed_kernel(AdamHistory history, int32_t* last, int64_t V, int64_t N, const int64_t* rows, Missed* missed) {
  const int32_t now = int32_t(history.step);
  for (int64_t n = first_element(); n < N; n += element_stride()) {
    const int64_t row = rows ? rows[n] : n;
    missed[n].count = 0;
    if (row < 0 || row >= V) continue;
    const int32_t seen = atomicCAS(last + row, now, now);  // a load among other threads' stores
    if (seen < 0 || seen == now || atomicCAS(last + row, seen, now) != seen) continue;
    missed[n] = history.missed(seen);
  }
}

template <class T>
__global__ void __launch_bounds__(kRowThreads, 1)
    catch_up_kernel(AdamTable<T> a, AdamHistory history, int64_t N, const int64_t* rows, const Missed* missed,
                    RowLanes lanes) {
  for (int64_t n = lanes.first_row(); n < N; n += lanes.row_stride()) {
    if (missed[n].count == 0) continue;
    const Missed x = missed[n];
    const int64_t row = rows ? rows[n] : n;
    for (int64_t j = lanes.lane(); j < a.D; j += lanes.count()) {
      const int64_t at = row * a.D + j;
      const T m = a.m[at], v = a.v[at], sigma = root(v);
      const bool close = sigma >= T(x.least) || m == 0;
      a.p[at] -= m * (close ? math::adam_formula<T>(x, sigma) : math::adam_terms<T>(x, history, sigma));
      a.m[at] = T(x.decay_m) * m;
      a.v[at] = T(x.decay_v) * v;
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kRowThreads, 1)
    adam_step_kernel(AdamTable<T> a, RowGradients<T> gradients, AdamRates<T> rates, RowLanes lanes) {
  for (int64_t u = lanes.first_row(); u < gradients.U; u += lanes.row_stride()) {
    const int64_t row = gradients.row[u];
    for (int64_t j = lanes.lane(); j < a.D; j += lanes.count()) {
      const int64_t at = row * a.D + j;
      T m = a.m[at], v = a.v[at];
      math::adam_moments(rates, gradients.g[u * a.D + j], m, v);
      a.m[at] = m;
      a.v[at] = v;
      a.p[at] -= math::adam_movement(rates, m, root(v));
    }
  }
}

// Rows with a gradient have moments from now on.
__global__ void __launch_bounds__(kRowThreads, 1)
    mark_rows_kernel(int32_t now, int32_t* last, int64_t U, const int64_t* rows) {
  for (int64_t u = first_element(); u < U; u += element_stride()) last[rows[u]] = now;
}

// The steps that the next one changes, and the next one itself.
__global__ void __launch_bounds__(kRowThreads, 1) append_kernel(AdamHistory history, double step_size, double floor) {
  const double r = history.ratio(), growth = 1 / ::sqrt(history.beta2);
  const int64_t now = history.step + 1, changed = now - history.first_changed();
  for (int64_t k = first_element(); k <= changed; k += element_stride()) {
    if (k == 0)
      history.begin(now, step_size, floor);
    else
      history.add(now - k, step_size * ::pow(r, double(k)), floor * ::pow(growth, double(k)));
  }
}

void check_rows(Stream stream, int64_t U, int64_t V, const int64_t* rows) {
  check(CUDA_LAUNCH(check_rows_kernel, blocks_for(U, kRowThreads), kRowThreads, 0, native(stream), U, V, rows),
        "Adam's check of rows");
}

template <class T>
void catch_up_rows(Stream stream, const AdamTable<T>& a, const AdamHistory& history, int32_t* last, int64_t N,
                   const int64_t* rows, Missed* missed) {
  const unsigned blocks = blocks_for(N, kRowThreads);
  check(CUDA_LAUNCH(check_last_kernel, blocks, kRowThreads, 0, native(stream), history, last, a.V, N, rows),
        "Adam's check of steps");
  check(CUDA_LAUNCH(missed_kernel, blocks, kRowThreads, 0, native(stream), history, last, a.V, N, rows, missed),
        "adam_catch_up");
  const RowLanes lanes(a.D);
  check(CUDA_LAUNCH(catch_up_kernel<T>, lanes.blocks(N), kRowThreads, 0, native(stream), a, history, N, rows, missed,
                    lanes),
        "adam_catch_up");
}

template <class T>
void step_rows(Stream stream, const AdamTable<T>& a, const RowGradients<T>& gradients, const AdamStep& step) {
  const RowLanes lanes(a.D);
  check(CUDA_LAUNCH(adam_step_kernel<T>, lanes.blocks(gradients.U), kRowThreads, 0, native(stream), a, gradients,
                    AdamRates<T>(step), lanes),
        "adam_rows");
}

}  // namespace

template <class T>
void adam_rows(Stream stream, const AdamTable<T>& a, const RowGradients<T>& gradients, const AdamStep& step) {
  if (gradients.U == 0) return;
  check_rows(stream, gradients.U, a.V, gradients.row);
  step_rows(stream, a, gradients, step);
}

template <class T>
void adam_exact_rows(Stream stream, const AdamTable<T>& a, const AdamHistory& history, int32_t* last,
                     const RowGradients<T>& gradients, const AdamStep& step, Missed* missed) {
  const int64_t U = gradients.U;
  if (U == 0) return;
  check_rows(stream, U, a.V, gradients.row);
  catch_up_rows(stream, a, history, last, U, gradients.row, missed);
  check(CUDA_LAUNCH(mark_rows_kernel, blocks_for(U, kRowThreads), kRowThreads, 0, native(stream),
                    int32_t(history.step + 1), last, U, gradients.row),
        "adam_exact_rows");
  step_rows(stream, a, gradients, step);
}

void adam_append(Stream stream, const AdamHistory& history, double step_size, double floor) {
  const int64_t steps = history.step + 2 - history.first_changed();
  check(CUDA_LAUNCH(append_kernel, blocks_for(steps, kRowThreads), kRowThreads, 0, native(stream), history, step_size,
                    floor),
        "adam_exact_rows");
}

template <class T>
void adam_catch_up(Stream stream, const AdamTable<T>& a, const AdamHistory& history, int32_t* last, int64_t N,
                   const int64_t* ids, Missed* missed) {
  if (N > 0) catch_up_rows(stream, a, history, last, N, ids, missed);
}

#define TEXTNN_INSTANTIATE(T)                                                                                      \
  template void adam_rows(Stream, const AdamTable<T>&, const RowGradients<T>&, const AdamStep&);                   \
  template void adam_exact_rows(Stream, const AdamTable<T>&, const AdamHistory&, int32_t*, const RowGradients<T>&, \
                                const AdamStep&, Missed*);                                                         \
  template void adam_catch_up(Stream, const AdamTable<T>&, const AdamHistory&, int32_t*, int64_t, const int64_t*,  \
                              Missed*);
TEXTNN_INSTANTIATE(float)
TEXTNN_INSTANTIATE(double)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
