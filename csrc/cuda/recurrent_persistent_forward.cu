#include "recurrent_instances.cuh"

namespace textnn::cuda {
namespace {

// The slice is chosen inside: were it an argument of the template, whether fragments exist would be part of the
// kernel's name, which must be the same for every architecture.
template <class Cell, class E, int kCapacity, bool kFragments>
__global__ void __launch_bounds__(slice_threads<E, kCapacity, kFragments>(), 1)
    forward_kernel(RecurrentForward<E> a, int rows_at_once) {
  if constexpr (!kFragments)
    persistent_forward<Cell, RegisterSlice<E, kCapacity>>(a, rows_at_once);
  else if constexpr (Fragments<E>::kExist)
    persistent_forward<Cell, FragmentSlice<E, kCapacity>>(a, rows_at_once);
}

}  // namespace

int64_t multiprocessors() { return device_attribute(cudaDevAttrMultiProcessorCount); }

template <class Cell, class E>
PersistentGrid persistent_grid(bool tf32, int64_t B, int64_t H, int directions) {
  constexpr int kUnits = slice_units<Cell>();
  PersistentGrid grid{};
  with_slice<E>(tf32, H, [&](auto* instance) {
    using Slice = std::remove_pointer_t<decltype(instance)>;
    grid = lay_out<E, Slice>(forward_kernel<Cell, E, Slice::kWidth, Slice::kFragments>, (H + kUnits - 1) / kUnits, B,
                             directions);
  });
  return grid;
}

template <class Cell, class E>
void recurrent_persistent(Stream stream, const PersistentGrid& grid, bool tf32, const RecurrentForward<E>& a) {
  with_slice<E>(tf32, a.H, [&](auto* instance) {
    using Slice = std::remove_pointer_t<decltype(instance)>;
    const dim3 blocks{unsigned(grid.slices), unsigned(grid.groups), unsigned(a.directions)};
    check(CUDA_LAUNCH_COOPERATIVE((forward_kernel<Cell, E, Slice::kWidth, Slice::kFragments>), blocks, Slice::kThreads,
                                  Slice::shared_bytes(grid.rows_at_once), native(stream), a, grid.rows_at_once),
          "recurrent_persistent");
  });
}

#define TEXTNN_INSTANTIATE(Cell, E)                                              \
  template PersistentGrid persistent_grid<Cell, E>(bool, int64_t, int64_t, int); \
  template void recurrent_persistent<Cell>(Stream, const PersistentGrid&, bool, const RecurrentForward<E>&);
TEXTNN_FOR_EACH_CELL_AND_ELEMENT(TEXTNN_INSTANTIATE)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::cuda
