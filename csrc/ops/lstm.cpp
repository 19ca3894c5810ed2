// textnn::lstm, one layer and direction over a ragged batch, and its backward operator: the recurrence in a kernel, the
// gradients of the weights and of the input as matrix products over all steps at once.
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

  Tensor y = empty(x, leading(x, n.P));
  if (ragged.has_padding()) torch::stable::zero_(y);
  Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
  Tensor gates = empty(x, {rows, 4 * n.H}), cells = empty(x, {rows, n.H}), h_prev = empty(x, {rows, n.P});
  Tensor unprojected = empty(x, {w_hr ? rows : 0, n.H});
  const auto x_offsets = ragged.offsets(x), y_offsets = ragged.offsets(y);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::lstm_forward<T>(torch_threads(), {ragged.schedule(), n.I, n.H, n.P, x.const_data_ptr<T>(), x_offsets.layout(),
                                           h0.const_data_ptr<T>(), c0.const_data_ptr<T>(), w_ih.const_data_ptr<T>(),
                                           w_hh.const_data_ptr<T>(), pointer<T>(b_ih), pointer<T>(b_hh), pointer<T>(w_hr),
                                           writable<T>(y), y_offsets.layout(), writable<T>(h_n), writable<T>(c_n),
                                           writable<T>(gates), writable<T>(cells), writable<T>(h_prev),
                                           writable<T>(unprojected)});
  });
  return {y, h_n, c_n, gates, cells, h_prev, unprojected};
}

Tensor product_of_transposed(const Tensor& a, const Tensor& b) {
  return torch::stable::matmul(torch::stable::transpose(a, 0, 1), b);
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
  const int64_t N = ragged.N();
  STD_TORCH_CHECK(gates.size(0) * I == x.numel(), "textnn: lstm_backward needs what lstm kept with save=True");

  Tensor dgates = empty(x, {N, 4 * H}), dstate = empty(x, {w_hr ? N : 0, P}), dh0 = empty(x, {B, P}),
         dc0 = empty(x, {B, H});
  const auto dy_offsets = dy ? ragged.offsets(*dy) : Ragged::Offsets{};
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    cpu::lstm_backward<T>(torch_threads(),
                          {ragged.schedule(), H, P, pointer<T>(dy), dy_offsets.layout(), pointer<T>(dh_n),
                           pointer<T>(dc_n), c0.const_data_ptr<T>(), w_hh.const_data_ptr<T>(), pointer<T>(w_hr),
                           gates.const_data_ptr<T>(), cells.const_data_ptr<T>(), writable<T>(dgates),
                           writable<T>(dstate), writable<T>(dh0), writable<T>(dc0)});
  });

  // The vectors of x in packed order, like everything else.
  Tensor rows = x;
  if (ragged.is_packed(x)) {
    rows = torch::stable::view(x, {N, I});
  } else {
    rows = empty(x, {N, I});
    const auto offsets = ragged.offsets(x);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      cpu::gather_rows<T>(torch_threads(), ragged.schedule(), x.const_data_ptr<T>(), offsets.layout(), I,
                          writable<T>(rows));
    });
  }
  auto kept = [&](const Tensor& t) {
    Tensor all = t;
    return torch::stable::narrow(all, 0, 0, N);
  };
  Tensor dw_ih = product_of_transposed(dgates, rows), dw_hh = product_of_transposed(dgates, kept(h_prev));
  const std::vector<int64_t> first{0};
  Tensor db = torch::stable::sum(dgates, first);
  Tensor dw_hr = w_hr ? product_of_transposed(dstate, kept(unprojected)) : empty(x, {0, 0});

  Tensor dx = empty(x, {0});
  if (need_dx) {
    dx = empty(x, leading(x, I));
    Tensor drows = torch::stable::matmul(dgates, w_ih);
    if (ragged.is_packed(dx)) {
      dx = torch::stable::view(drows, leading(x, I));
    } else {
      if (ragged.has_padding()) torch::stable::zero_(dx);
      const auto offsets = ragged.offsets(dx);
      dispatch(x, [&](auto zero) {
        using T = decltype(zero);
        cpu::scatter_rows<T>(torch_threads(), ragged.schedule(), drows.const_data_ptr<T>(), I, writable<T>(dx),
                             offsets.layout());
      });
    }
  }
  return {dx, dh0, dc0, dw_ih, dw_hh, db, dw_hr};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::lstm_backward));
}
