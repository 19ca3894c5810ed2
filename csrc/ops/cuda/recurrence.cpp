#include "recurrence.h"
#include "../../cuda/recurrent_choice.h"

namespace textnn::ops::cuda {
namespace {

using textnn::cuda::Compute;
using textnn::cuda::PersistentGrid;

template <class E, class Arguments>
bool prefers_persistent(const PersistentGrid& grid, const Recurrent& r, const Arguments& a) {
  const bool instance = !r.projected() && grid.capacity > 0;
  if (r.cuda.form == RecurrentForm::kSteps || !instance) return false;
  if (r.cuda.form == RecurrentForm::kPersistent) {
    STD_TORCH_CHECK(grid.possible, "textnn: the device is too small for the persistent form of ", r.name,
                    " with H = ", a.H, ": it needs ", grid.blocks, " blocks at the same time, the device holds ",
                    grid.resident, " (0: it has no cooperative launch, or no tensor cores for this type)");
    return true;
  }
  if (!grid.possible) return false;
  const textnn::cuda::RecurrentCost cost{textnn::cuda::multiprocessors(),
                                         a.schedule.B,
                                         a.H,
                                         a.P,
                                         r.cell.blocks,
                                         int64_t(sizeof(E)),
                                         sizeof(E) == 2 || (sizeof(E) == 4 && r.cuda.tf32),
                                         a.directions};
  return cost.persistent(grid) < cost.steps();
}

// Whether the form is the persistent one. The arguments learn how large what is between the steps has to be for it;
// in steps a row of that has `width` values.
template <class E, class Arguments>
bool choose_persistent(const PersistentGrid& grid, const Recurrent& r, int64_t width, Arguments& a) {
  const bool persistent = prefers_persistent<E>(grid, r, a);
  const int64_t tile = persistent ? grid.rows_at_once : 1;
  a.batch_rows = (a.schedule.B + tile - 1) / tile * tile;
  a.state_width = persistent ? grid.capacity : width;
  return persistent;
}

template <class Cell, class E>
void steps_forward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r, const Tensor& h,
                   const textnn::cuda::RecurrentForward<E>& a) {
  const std::vector<int64_t> all_active = ragged.active(device);
  Tensor recurrent = empty(r.x, {r.B, r.cell.blocks * r.H}), m = empty(r.x, {r.projected() ? r.B : 0, r.H});
  for (int64_t d = 0; d < r.D; ++d) {
    const Direction& w = r.directions[size_t(d)];
    const Tensor w_hh = t(w.w_hh), w_hr = w.w_hr ? t(*w.w_hr) : w_hh;
    for (int64_t s = 0; s < ragged.T(); ++s) {
      const int64_t active = all_active[size_t(s)];
      if (active == 0) break;
      const auto state = [&](int64_t step) { return rows(h, (d * 2 + step % 2) * r.B, active); };
      mm_out(rows(recurrent, 0, active), state(s), w_hh);
      textnn::cuda::recurrent_step<Cell, E>(device.stream, a, int(d), s, active, data<E>(recurrent), writable<E>(m));
      if (!w.w_hr) continue;
      mm_out(state(s + 1), rows(m, 0, active), w_hr);
      textnn::cuda::recurrent_projected<E>(device.stream, a, int(d), s, active);
    }
  }
}

template <class Cell, class E>
void steps_backward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r, const Tensor& exchange,
                    const textnn::cuda::RecurrentBackward<E>& a) {
  const std::vector<int64_t> all_active = ragged.active(device);
  Tensor recurrent = empty(r.x, {r.B, r.P}), dh = empty(r.x, {r.B, r.P}),
         dm = empty(r.x, {r.projected() ? r.B : 0, r.H});
  for (int64_t d = 0; d < r.D; ++d) {
    const Direction& w = r.directions[size_t(d)];
    for (int64_t s = ragged.T() - 1; s >= -1; --s) {
      const int64_t ahead = s + 1 < ragged.T() ? all_active[size_t(s + 1)] : 0;
      const int64_t active = s < 0 ? ahead : all_active[size_t(s)];
      if (active == 0) continue;
      if (ahead > 0) mm_out(rows(recurrent, 0, ahead), rows(exchange, (d * 2 + (s + 1) % 2) * r.B, ahead), w.w_hh);
      textnn::cuda::recurrent_backward_state<Cell, E>(device.stream, a, int(d), s, active, ahead, data<E>(recurrent),
                                                      writable<E>(dh));
      if (s < 0) break;
      if (w.w_hr) mm_out(rows(dm, 0, active), rows(dh, 0, active), *w.w_hr);
      textnn::cuda::recurrent_backward_step<Cell, E>(device.stream, a, int(d), s, active, data<E>(w.w_hr ? dm : dh));
    }
  }
}

}  // namespace

template <class E>
void run_forward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r,
                 textnn::cuda::RecurrentForward<E> a) {
  if (r.B == 0) return;
  with_cell(r.name, [&](auto cell) {
    using Cell = decltype(cell);
    const auto grid = textnn::cuda::persistent_grid<Cell, E>(r.cuda.tf32, r.B, r.H, int(r.D));
    const bool persistent = choose_persistent<E>(grid, r, r.P, a);
    Tensor h = empty(r.x, {r.D * 2 * a.batch_rows, a.state_width});
    Tensor c = empty(r.x, {r.cell.cell ? r.D * r.B : 0, r.H}, compute_type(r.x));
    for (int64_t d = 0; d < r.D; ++d) {
      a.direction[d].h = writable<E>(h) + d * 2 * a.batch_rows * a.state_width;
      a.direction[d].c = at(writable<Compute<E>>(c), d * r.B * r.H);
    }
    textnn::cuda::recurrent_begin<E>(device.stream, a);
    if (persistent)
      textnn::cuda::recurrent_persistent<Cell, E>(device.stream, grid, r.cuda.tf32, a);
    else
      steps_forward<Cell, E>(device, ragged, r, h, a);
  });
}

template <class E>
void run_backward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r,
                  textnn::cuda::RecurrentBackward<E> a) {
  if (r.B == 0) return;
  with_cell(r.name, [&](auto cell) {
    using Cell = decltype(cell);
    constexpr bool carries = Cell::kCarry != math::Carry::kNone;
    const auto grid = textnn::cuda::persistent_backward_grid<Cell, E>(r.cuda.tf32, r.B, r.H, int(r.D));
    const bool persistent = choose_persistent<E>(grid, r, r.cell.blocks * r.H, a);
    Tensor exchange = empty(r.x, {r.D * 2 * a.batch_rows, a.state_width});
    Tensor carry = empty(r.x, {carries ? r.D * r.B : 0, r.H}, compute_type(r.x));
    for (int64_t d = 0; d < r.D; ++d) {
      a.direction[d].exchange = writable<E>(exchange) + d * 2 * a.batch_rows * a.state_width;
      a.direction[d].carry = at(writable<Compute<E>>(carry), d * r.B * r.H);
    }
    textnn::cuda::recurrent_backward_begin<E>(device.stream, a);
    if (persistent)
      textnn::cuda::recurrent_persistent_backward<Cell, E>(device.stream, grid, r.cuda.tf32, a);
    else
      steps_backward<Cell, E>(device, ragged, r, exchange, a);
  });
}

#define TEXTNN_INSTANTIATE(E)                                                           \
  template void run_forward<E>(const Device&, const DeviceSchedule&, const Recurrent&,  \
                               textnn::cuda::RecurrentForward<E>);                      \
  template void run_backward<E>(const Device&, const DeviceSchedule&, const Recurrent&, \
                                textnn::cuda::RecurrentBackward<E>);
TEXTNN_INSTANTIATE(float)
TEXTNN_INSTANTIATE(double)
TEXTNN_INSTANTIATE(Float16)
TEXTNN_INSTANTIATE(BFloat16)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::ops::cuda
