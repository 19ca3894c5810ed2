#include "recurrence.h"
#include "../../cuda/lstm_choice.h"
#include "options.h"

namespace textnn::ops::cuda {
namespace {

using textnn::cuda::Compute;
using textnn::cuda::PersistentGrid;

template <class E, class Arguments>
bool prefers_persistent(const PersistentGrid& grid, bool projected, const Arguments& a) {
  const bool instance = !projected && grid.capacity > 0;
  if (options().lstm == LstmForm::kSteps || !instance) return false;
  if (options().lstm == LstmForm::kPersistent) {
    STD_TORCH_CHECK(grid.possible, "textnn: the device is too small for the persistent form of the LSTM with H = ", a.H,
                    ": it needs ", grid.blocks, " blocks at the same time, the device holds ", grid.resident,
                    " (0: it has no cooperative launch, or no tensor cores for this type)");
    return true;
  }
  if (!grid.possible) return false;
  const textnn::cuda::RecurrentCost cost{textnn::cuda::multiprocessors(),
                                         a.schedule.B,
                                         a.H,
                                         a.P,
                                         int64_t(sizeof(E)),
                                         sizeof(E) == 2 || (sizeof(E) == 4 && options().tf32),
                                         a.directions};
  return cost.persistent(grid) < cost.steps();
}

// Whether the form is the persistent one. The arguments learn how large what is between the steps has to be for it;
// in steps a row of that has `width` values.
template <class E, class Arguments>
bool choose_persistent(const PersistentGrid& grid, const LstmDirections& directions, int64_t width, Arguments& a) {
  const bool persistent = prefers_persistent<E>(grid, directions[0].w_hr.has_value(), a);
  const int64_t tile = persistent ? grid.rows_at_once : 1;
  a.batch_rows = (a.schedule.B + tile - 1) / tile * tile;
  a.state_width = persistent ? grid.capacity : width;
  return persistent;
}

}  // namespace

template <class E>
void run_forward(const Device& device, const DeviceSchedule& ragged, const Tensor& like,
                 const LstmDirections& directions, textnn::cuda::LstmForward<E> a) {
  const int64_t B = a.schedule.B, D = a.directions, H = a.H, P = a.P;
  if (B == 0) return;
  const PersistentGrid grid = textnn::cuda::lstm_persistent_grid<E>(options().tf32, B, H, int(D));
  const bool persistent = choose_persistent<E>(grid, directions, P, a);
  Tensor h = empty(like, {D * 2 * a.batch_rows, a.state_width}), c = empty(like, {D, B, H}, compute_type(like));
  for (int64_t d = 0; d < D; ++d) {
    a.direction[d].h = writable<E>(h) + d * 2 * a.batch_rows * a.state_width;
    a.direction[d].c = writable<Compute<E>>(c) + d * B * H;
  }
  textnn::cuda::lstm_begin<E>(device.stream, a);
  if (persistent) return textnn::cuda::lstm_persistent<E>(device.stream, grid, options().tf32, a);

  const std::vector<int64_t> all_active = ragged.active(device);
  Tensor recurrent = empty(like, {B, 4 * H}), m = empty(like, {B, H});
  for (int64_t d = 0; d < D; ++d) {
    const LstmDirection& w = directions[size_t(d)];
    const Tensor w_hh = t(w.w_hh), w_hr = w.w_hr ? t(*w.w_hr) : w_hh;
    for (int64_t s = 0; s < ragged.T(); ++s) {
      const int64_t active = all_active[size_t(s)];
      if (active == 0) break;
      const auto state = [&](int64_t step) { return rows(h, (d * 2 + step % 2) * B, active); };
      mm_out(rows(recurrent, 0, active), state(s), w_hh);
      textnn::cuda::lstm_step<E>(device.stream, a, int(d), s, active, data<E>(recurrent),
                                 w.w_hr ? writable<E>(m) : nullptr);
      if (!w.w_hr) continue;
      mm_out(state(s + 1), rows(m, 0, active), w_hr);
      textnn::cuda::lstm_projected<E>(device.stream, a, int(d), s, active);
    }
  }
}

template <class E>
void run_backward(const Device& device, const DeviceSchedule& ragged, const Tensor& like,
                  const LstmDirections& directions, textnn::cuda::LstmBackward<E> a) {
  const int64_t B = a.schedule.B, D = a.directions, H = a.H, P = a.P;
  if (B == 0) return;
  const PersistentGrid grid = textnn::cuda::lstm_persistent_backward_grid<E>(options().tf32, B, H, int(D));
  const bool persistent = choose_persistent<E>(grid, directions, 4 * H, a);
  Tensor exchange = empty(like, {D * 2 * a.batch_rows, a.state_width}), dc = empty(like, {D, B, H}, compute_type(like));
  for (int64_t d = 0; d < D; ++d) {
    a.direction[d].exchange = writable<E>(exchange) + d * 2 * a.batch_rows * a.state_width;
    a.direction[d].dc = writable<Compute<E>>(dc) + d * B * H;
  }
  textnn::cuda::lstm_backward_begin<E>(device.stream, a);
  if (persistent) return textnn::cuda::lstm_persistent_backward<E>(device.stream, grid, options().tf32, a);

  const std::vector<int64_t> all_active = ragged.active(device);
  Tensor recurrent = empty(like, {B, P}), dh = empty(like, {B, P}), dm = empty(like, {B, H});
  for (int64_t d = 0; d < D; ++d) {
    const LstmDirection& w = directions[size_t(d)];
    for (int64_t s = ragged.T() - 1; s >= -1; --s) {
      const int64_t ahead = s + 1 < ragged.T() ? all_active[size_t(s + 1)] : 0;
      const int64_t active = s < 0 ? ahead : all_active[size_t(s)];
      if (active == 0) continue;
      if (ahead > 0) mm_out(rows(recurrent, 0, ahead), rows(exchange, (d * 2 + (s + 1) % 2) * B, ahead), w.w_hh);
      textnn::cuda::lstm_backward_state<E>(device.stream, a, int(d), s, active, ahead, data<E>(recurrent),
                                           writable<E>(dh));
      if (s < 0) break;
      if (w.w_hr) mm_out(rows(dm, 0, active), rows(dh, 0, active), *w.w_hr);
      textnn::cuda::lstm_backward_step<E>(device.stream, a, int(d), s, active, data<E>(w.w_hr ? dm : dh));
    }
  }
}

#define TEXTNN_INSTANTIATE(E)                                                                               \
  template void run_forward<E>(const Device&, const DeviceSchedule&, const Tensor&, const LstmDirections&,  \
                               textnn::cuda::LstmForward<E>);                                               \
  template void run_backward<E>(const Device&, const DeviceSchedule&, const Tensor&, const LstmDirections&, \
                                textnn::cuda::LstmBackward<E>);
TEXTNN_INSTANTIATE(float)
TEXTNN_INSTANTIATE(double)
TEXTNN_INSTANTIATE(Float16)
TEXTNN_INSTANTIATE(BFloat16)
#undef TEXTNN_INSTANTIATE

}  // namespace textnn::ops::cuda
