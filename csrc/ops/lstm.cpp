// textnn::lstm, one layer and direction over a ragged batch, and its backward operator.
#include "../cpu/lstm.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

struct Sizes {
  int64_t B, I, H, P;
};

Sizes check(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh,
            const OptionalTensor& b_ih, const OptionalTensor& b_hh, const OptionalTensor& w_hr,
            const std::string& layout) {
  const RaggedLayout kind = parse_layout(layout);
  const int64_t dims = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 2 : 3;
  STD_TORCH_CHECK(x.dim() == dims, "textnn: x must have ", dims, " dimensions, got shape ", shape_of(x));
  STD_TORCH_CHECK(h0.dim() == 2 && c0.dim() == 2, "textnn: h0 and c0 must have shape [B, H], got ", shape_of(h0),
                  " and ", shape_of(c0));
  const Sizes n{h0.size(0), x.size(dims - 1), c0.size(1), h0.size(1)};
  check_shape("c0", c0, {n.B, n.H});
  check_shape("w_ih", w_ih, {4 * n.H, n.I});
  check_shape("w_hh", w_hh, {4 * n.H, n.P});
  if (w_hr)
    check_shape("w_hr", *w_hr, {n.P, n.H});
  else
    check_shape("h0", h0, {n.B, n.H});
  for (const OptionalTensor* b : {&b_ih, &b_hh})
    if (*b) check_shape("bias", **b, {4 * n.H});
  for (const Tensor* t : {&h0, &c0, &w_ih, &w_hh}) check_dtype("every tensor", *t, x);
  for (const OptionalTensor* t : {&b_ih, &b_hh, &w_hr})
    if (*t) check_dtype("every tensor", **t, x);
  return n;
}

// x with contiguous vectors; the dimensions before may have any strides.
Tensor with_contiguous_vectors(const Tensor& x) {
  return x.size(x.dim() - 1) <= 1 || x.stride(x.dim() - 1) == 1 ? x : compact(x);
}

std::vector<int64_t> leading(const Tensor& x, int64_t last) {
  std::vector<int64_t> size;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) size.push_back(x.size(i));
  size.push_back(last);
  return size;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm(
    const Tensor& x_, const Tensor& h0_, const Tensor& c0_, const Tensor& w_ih_, const Tensor& w_hh_,
    const OptionalTensor& b_ih_, const OptionalTensor& b_hh_, const OptionalTensor& w_hr_, const OptionalTensor& sizes,
    std::string layout, bool reverse, bool save) {
  const Sizes n = check(x_, h0_, c0_, w_ih_, w_hh_, b_ih_, b_hh_, w_hr_, layout);
  const Tensor x = with_contiguous_vectors(x_), h0 = compact(h0_), c0 = compact(c0_), w_ih = compact(w_ih_),
               w_hh = compact(w_hh_);
  const OptionalTensor b_ih = compact(b_ih_), b_hh = compact(b_hh_), w_hr = compact(w_hr_);
  const Ragged ragged(x, sizes, layout, n.B, reverse);
  // As many rows as the input has: the sum of the lengths is not known to a compiler. Untouched pages cost nothing.
  const int64_t rows = save ? x.numel() / std::max<int64_t>(1, n.I) : 0;

  Tensor y = pooled(x, leading(x, n.P));
  if (ragged.has_padding()) torch::stable::zero_(y);
  Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
  // In the kernels' own order (cpu/lstm.h), with H rounded up to a whole cache line.
  const int64_t unit = 64 / int64_t(x.element_size()), H = (n.H + unit - 1) / unit * unit;
  const int64_t used = ragged.schedule().N;
  Tensor gates = pooled(x, {rows, 4 * H}, used), cells = pooled(x, {rows, H}, used),
         h_prev = pooled(x, {rows, n.P}, used), unprojected = pooled(x, {w_hr ? rows : 0, n.H}, used);
  const auto x_offsets = ragged.offsets(x), y_offsets = ragged.offsets(y);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::LstmForward<T> args{};
    args.schedule = ragged.schedule();
    args.I = n.I;
    args.H = n.H;
    args.P = n.P;
    args.x = x.const_data_ptr<T>();
    args.x_layout = x_offsets.layout();
    args.h0 = h0.const_data_ptr<T>();
    args.c0 = c0.const_data_ptr<T>();
    args.w_ih = w_ih.const_data_ptr<T>();
    args.w_hh = w_hh.const_data_ptr<T>();
    args.b_ih = pointer<T>(b_ih);
    args.b_hh = pointer<T>(b_hh);
    args.w_hr = pointer<T>(w_hr);
    args.y = writable<T>(y);
    args.y_layout = y_offsets.layout();
    args.h_n = writable<T>(h_n);
    args.c_n = writable<T>(c_n);
    args.gates = writable<T>(gates);
    args.cells = writable<T>(cells);
    args.h_prev = writable<T>(h_prev);
    args.unprojected = writable<T>(unprojected);
    cpu::lstm_forward<T>(torch_threads(), args);
  });
  return {y, h_n, c_n, gates, cells, h_prev, unprojected};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
    const OptionalTensor& dy_, const OptionalTensor& dh_n_, const OptionalTensor& dc_n_, const Tensor& x_,
    const Tensor& c0_, const Tensor& w_ih_, const Tensor& w_hh_, const OptionalTensor& w_hr_,
    const OptionalTensor& sizes, std::string layout, bool reverse, const Tensor& gates, const Tensor& cells,
    const Tensor& h_prev, const Tensor& unprojected, bool need_dx) {
  const Tensor x = with_contiguous_vectors(x_), c0 = compact(c0_), w_ih = compact(w_ih_), w_hh = compact(w_hh_);
  const OptionalTensor dy = dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt;
  const OptionalTensor dh_n = compact(dh_n_), dc_n = compact(dc_n_), w_hr = compact(w_hr_);
  const int64_t B = c0.size(0), H = c0.size(1), I = x.size(x.dim() - 1), P = w_hh.size(1);
  const Ragged ragged(x, sizes, layout, B, reverse);
  STD_TORCH_CHECK(gates.size(0) * I == x.numel(), "textnn: lstm_backward needs what lstm kept with save=True");

  Tensor dh0 = empty(x, {B, P}), dc0 = empty(x, {B, H}), dw_ih = torch::stable::empty_like(w_ih),
         dw_hh = torch::stable::empty_like(w_hh), db = empty(x, {4 * H});
  Tensor dw_hr = w_hr ? torch::stable::empty_like(*w_hr) : empty(x, {0, 0});
  Tensor dx = pooled(x, need_dx ? leading(x, I) : std::vector<int64_t>{0});
  if (need_dx && ragged.has_padding()) torch::stable::zero_(dx);
  const auto x_offsets = ragged.offsets(x);
  const auto dy_offsets = dy ? ragged.offsets(*dy) : Ragged::Offsets{};
  const auto dx_offsets = need_dx ? ragged.offsets(dx) : Ragged::Offsets{};
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::LstmBackward<T> args{};
    args.schedule = ragged.schedule();
    args.I = I;
    args.H = H;
    args.P = P;
    args.x = x.const_data_ptr<T>();
    args.x_layout = x_offsets.layout();
    args.dy = pointer<T>(dy);
    args.dy_layout = dy_offsets.layout();
    args.dh_n = pointer<T>(dh_n);
    args.dc_n = pointer<T>(dc_n);
    args.c0 = c0.const_data_ptr<T>();
    args.w_ih = w_ih.const_data_ptr<T>();
    args.w_hh = w_hh.const_data_ptr<T>();
    args.w_hr = pointer<T>(w_hr);
    args.gates = gates.const_data_ptr<T>();
    args.cells = cells.const_data_ptr<T>();
    args.h_prev = h_prev.const_data_ptr<T>();
    args.unprojected = unprojected.const_data_ptr<T>();
    args.dx = writable<T>(dx);
    args.dx_layout = dx_offsets.layout();
    args.dh0 = writable<T>(dh0);
    args.dc0 = writable<T>(dc0);
    args.dw_ih = writable<T>(dw_ih);
    args.dw_hh = writable<T>(dw_hh);
    args.db = writable<T>(db);
    args.dw_hr = writable<T>(dw_hr);
    cpu::lstm_backward<T>(torch_threads(), args);
  });
  return {dx, dh0, dc0, dw_ih, dw_hh, db, dw_hr};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::lstm_backward));
}
