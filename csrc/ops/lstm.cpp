// textnn::lstm, one layer and direction over a ragged batch, textnn::bilstm, both directions, and their backward
// operators.
#include "../cpu/lstm.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

// The weights of one direction, and where it runs from.
struct Direction {
  Tensor w_ih, w_hh;
  OptionalTensor b_ih, b_hh, w_hr;
  bool reverse;

  Direction(const Tensor& ih, const Tensor& hh, const OptionalTensor& bih, const OptionalTensor& bhh,
            const OptionalTensor& hr, bool reverse_)
      : w_ih(compact(ih)),
        w_hh(compact(hh)),
        b_ih(compact(bih)),
        b_hh(compact(bhh)),
        w_hr(compact(hr)),
        reverse(reverse_) {}
};
using Directions = std::vector<Direction>;

struct Sizes {
  int64_t B, I, H, P;
};

// States have a leading dimension for the direction where there are two.
Sizes check(const Tensor& x, const Tensor& h0, const Tensor& c0, const Directions& directions,
            const std::string& layout) {
  const RaggedLayout kind = parse_layout(layout);
  const int64_t dims = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 2 : 3;
  const int64_t state = directions.size() == 1 ? 2 : 3;
  STD_TORCH_CHECK(x.dim() == dims, "textnn: x must have ", dims, " dimensions, got shape ", shape_of(x));
  STD_TORCH_CHECK(h0.dim() == state && c0.dim() == state, "textnn: h0 and c0 must have ", state,
                  " dimensions, got shapes ", shape_of(h0), " and ", shape_of(c0));
  const Sizes n{h0.size(state - 2), x.size(dims - 1), c0.size(state - 1), h0.size(state - 1)};
  std::vector<int64_t> h_shape{n.B, n.P}, c_shape{n.B, n.H};
  if (state == 3) {
    h_shape.insert(h_shape.begin(), 2);
    c_shape.insert(c_shape.begin(), 2);
  }
  check_shape("h0", h0, h_shape);
  check_shape("c0", c0, c_shape);
  for (const Tensor* t : {&h0, &c0}) check_dtype("every tensor", *t, x);
  for (const Direction& d : directions) {
    check_shape("w_ih", d.w_ih, {4 * n.H, n.I});
    check_shape("w_hh", d.w_hh, {4 * n.H, n.P});
    if (d.w_hr)
      check_shape("w_hr", *d.w_hr, {n.P, n.H});
    else
      STD_TORCH_CHECK(n.P == n.H, "textnn: h0 must have ", n.H, " columns as c0, got ", n.P);
    for (const OptionalTensor* b : {&d.b_ih, &d.b_hh})
      if (*b) check_shape("bias", **b, {4 * n.H});
    for (const Tensor* t : {&d.w_ih, &d.w_hh}) check_dtype("every tensor", *t, x);
    for (const OptionalTensor* t : {&d.b_ih, &d.b_hh, &d.w_hr})
      if (*t) check_dtype("every tensor", **t, x);
  }
  return n;
}

// p + n, and null for null.
template <class T>
T* at(T* p, int64_t n) {
  return p ? p + n : p;
}

// What is kept for the backward pass, of all directions one behind the other, in the kernels' own order (cpu/lstm.h),
// with H rounded up to a whole cache line. It has as many rows as the input for each direction, since the sum of the
// lengths is not known to a compiler; those behind it are not touched and cost nothing.
struct Kept {
  Tensor gates, cells, h_prev, unprojected;

  static int64_t padded(const Tensor& like, int64_t H) {
    const int64_t unit = 64 / int64_t(like.element_size());
    return (H + unit - 1) / unit * unit;
  }
  Kept(const Tensor& x, const Sizes& n, int64_t rows, int64_t used, bool projected)
      : gates(pooled(x, {rows, 4 * padded(x, n.H)}, used)),
        cells(pooled(x, {rows, padded(x, n.H)}, used)),
        h_prev(pooled(x, {rows, n.P}, used)),
        unprojected(pooled(x, {projected ? rows : 0, n.H}, used)) {}
};

using Forward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Forward forward(const Tensor& x_, const Tensor& h0_, const Tensor& c0_, const Directions& directions,
                const OptionalTensor& sizes, const std::string& layout, bool outputs, bool save) {
  const Sizes n = check(x_, h0_, c0_, directions, layout);
  const Tensor x = with_contiguous_vectors(x_), h0 = compact(h0_), c0 = compact(c0_);
  const Ragged ragged(x, sizes, layout, n.B);
  const int64_t D = int64_t(directions.size()), N = ragged.steps();
  Tensor y = outputs ? pooled(x, leading(x, D * n.P)) : empty(x, {0});
  if (outputs && ragged.has_padding()) torch::stable::zero_(y);
  Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
  const int64_t rows = save ? D * (x.numel() / std::max<int64_t>(1, n.I)) : 0;
  Kept kept(x, n, rows, D * N, directions[0].w_hr.has_value());
  const auto x_offsets = ragged.offsets(x);
  const auto y_offsets = outputs ? ragged.offsets(y) : Ragged::Offsets{};
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    std::vector<cpu::LstmForward<T>> args;
    for (int64_t d = 0; d < D; ++d) {
      const Direction& w = directions[d];
      const int64_t H = Kept::padded(x, n.H);
      cpu::LstmForward<T> a{};
      a.schedule = ragged.schedule(w.reverse);
      a.I = n.I;
      a.H = n.H;
      a.P = n.P;
      a.x = x.const_data_ptr<T>();
      a.x_layout = x_offsets.layout();
      a.h0 = h0.const_data_ptr<T>() + d * n.B * n.P;
      a.c0 = c0.const_data_ptr<T>() + d * n.B * n.H;
      a.w_ih = w.w_ih.const_data_ptr<T>();
      a.w_hh = w.w_hh.const_data_ptr<T>();
      a.b_ih = pointer<T>(w.b_ih);
      a.b_hh = pointer<T>(w.b_hh);
      a.w_hr = pointer<T>(w.w_hr);
      a.y = at(writable<T>(y), d * n.P);
      a.y_layout = y_offsets.layout();
      a.h_n = at(writable<T>(h_n), d * n.B * n.P);
      a.c_n = at(writable<T>(c_n), d * n.B * n.H);
      a.gates = at(writable<T>(kept.gates), d * N * 4 * H);
      a.cells = at(writable<T>(kept.cells), d * N * H);
      a.h_prev = at(writable<T>(kept.h_prev), d * N * n.P);
      a.unprojected = at(writable<T>(kept.unprojected), d * N * n.H);
      args.push_back(a);
    }
    if (D == 1)
      cpu::lstm_forward<T>(torch_threads(), args[0]);
    else
      cpu::bilstm_forward<T>(torch_threads(), args[0], args[1]);
  });
  return {y, h_n, c_n, kept.gates, kept.cells, kept.h_prev, kept.unprojected};
}

struct Gradients {
  Tensor dx, dh0, dc0;
  struct Weights {
    Tensor ih, hh, b, hr;
  };
  std::vector<Weights> dw;
};

Gradients backward(const OptionalTensor& dy_, const OptionalTensor& dh_n_, const OptionalTensor& dc_n_,
                   const Tensor& x_, const Tensor& c0_, const Directions& directions, const OptionalTensor& sizes,
                   const std::string& layout, const Tensor& gates, const Tensor& cells, const Tensor& h_prev,
                   const Tensor& unprojected, bool need_dx) {
  const Tensor x = with_contiguous_vectors(x_), c0 = compact(c0_);
  const OptionalTensor dy = dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt;
  const OptionalTensor dh_n = compact(dh_n_), dc_n = compact(dc_n_);
  const int64_t D = int64_t(directions.size()), I = x.size(x.dim() - 1), P = directions[0].w_hh.size(1);
  const int64_t B = c0.size(c0.dim() - 2), H = c0.size(c0.dim() - 1);
  const Ragged ragged(x, sizes, layout, B);
  const int64_t N = ragged.steps();
  STD_TORCH_CHECK(gates.size(0) * I == D * x.numel(), "textnn: the backward pass needs what was kept with save=True");

  std::vector<int64_t> h_shape{B, P};
  if (D == 2) h_shape.insert(h_shape.begin(), 2);
  Gradients out{pooled(x, need_dx ? leading(x, I) : std::vector<int64_t>{0}),
                empty(x, h_shape),
                torch::stable::empty_like(c0),
                {}};
  if (need_dx && ragged.has_padding()) torch::stable::zero_(out.dx);
  const auto x_offsets = ragged.offsets(x);
  const auto dy_offsets = dy ? ragged.offsets(*dy) : Ragged::Offsets{};
  const auto dx_offsets = need_dx ? ragged.offsets(out.dx) : Ragged::Offsets{};
  for (const Direction& w : directions)
    out.dw.push_back({torch::stable::empty_like(w.w_ih), torch::stable::empty_like(w.w_hh), empty(x, {4 * H}),
                      w.w_hr ? torch::stable::empty_like(*w.w_hr) : empty(x, {0, 0})});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    std::vector<cpu::LstmBackward<T>> args;
    for (int64_t d = 0; d < D; ++d) {
      const Direction& w = directions[d];
      const int64_t padded = Kept::padded(x, H);
      cpu::LstmBackward<T> a{};
      a.schedule = ragged.schedule(w.reverse);
      a.I = I;
      a.H = H;
      a.P = P;
      a.x = x.const_data_ptr<T>();
      a.x_layout = x_offsets.layout();
      a.dy = at(pointer<T>(dy), d * P);
      a.dy_layout = dy_offsets.layout();
      a.dh_n = at(pointer<T>(dh_n), d * B * P);
      a.dc_n = at(pointer<T>(dc_n), d * B * H);
      a.c0 = c0.const_data_ptr<T>() + d * B * H;
      a.w_ih = w.w_ih.const_data_ptr<T>();
      a.w_hh = w.w_hh.const_data_ptr<T>();
      a.w_hr = pointer<T>(w.w_hr);
      a.gates = gates.const_data_ptr<T>() + d * N * 4 * padded;
      a.cells = cells.const_data_ptr<T>() + d * N * padded;
      a.h_prev = h_prev.const_data_ptr<T>() + d * N * P;
      a.unprojected = unprojected.const_data_ptr<T>() + d * N * H;
      a.dx = writable<T>(out.dx);
      a.dx_layout = dx_offsets.layout();
      a.dh0 = at(writable<T>(out.dh0), d * B * P);
      a.dc0 = at(writable<T>(out.dc0), d * B * H);
      a.dw_ih = writable<T>(out.dw[d].ih);
      a.dw_hh = writable<T>(out.dw[d].hh);
      a.db = writable<T>(out.dw[d].b);
      a.dw_hr = writable<T>(out.dw[d].hr);
      args.push_back(a);
    }
    if (D == 1)
      cpu::lstm_backward<T>(torch_threads(), args[0]);
    else
      cpu::bilstm_backward<T>(torch_threads(), args[0], args[1]);
  });
  return out;
}

Forward lstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh,
             const OptionalTensor& b_ih, const OptionalTensor& b_hh, const OptionalTensor& w_hr,
             const OptionalTensor& sizes, std::string layout, bool reverse, bool outputs, bool save) {
  return forward(x, h0, c0, {{w_ih, w_hh, b_ih, b_hh, w_hr, reverse}}, sizes, layout, outputs, save);
}

Forward bilstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh,
               const OptionalTensor& b_ih, const OptionalTensor& b_hh, const OptionalTensor& w_hr,
               const Tensor& w_ih_reverse, const Tensor& w_hh_reverse, const OptionalTensor& b_ih_reverse,
               const OptionalTensor& b_hh_reverse, const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes,
               std::string layout, bool outputs, bool save) {
  return forward(x, h0, c0,
                 {{w_ih, w_hh, b_ih, b_hh, w_hr, false},
                  {w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse, true}},
                 sizes, layout, outputs, save);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
    const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x, const Tensor& c0,
    const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr, const OptionalTensor& sizes, std::string layout,
    bool reverse, const Tensor& gates, const Tensor& cells, const Tensor& h_prev, const Tensor& unprojected,
    bool need_dx) {
  const Gradients g = backward(dy, dh_n, dc_n, x, c0, {{w_ih, w_hh, std::nullopt, std::nullopt, w_hr, reverse}}, sizes,
                               layout, gates, cells, h_prev, unprojected, need_dx);
  return {g.dx, g.dh0, g.dc0, g.dw[0].ih, g.dw[0].hh, g.dw[0].b, g.dw[0].hr};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> bilstm_backward(
    const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x, const Tensor& c0,
    const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr, const Tensor& w_ih_reverse,
    const Tensor& w_hh_reverse, const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes, std::string layout,
    const Tensor& gates, const Tensor& cells, const Tensor& h_prev, const Tensor& unprojected, bool need_dx) {
  const Gradients g = backward(dy, dh_n, dc_n, x, c0,
                               {{w_ih, w_hh, std::nullopt, std::nullopt, w_hr, false},
                                {w_ih_reverse, w_hh_reverse, std::nullopt, std::nullopt, w_hr_reverse, true}},
                               sizes, layout, gates, cells, h_prev, unprojected, need_dx);
  return {g.dx,       g.dh0,      g.dc0,      g.dw[0].ih, g.dw[0].hh, g.dw[0].b,
          g.dw[0].hr, g.dw[1].ih, g.dw[1].hh, g.dw[1].b,  g.dw[1].hr};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::lstm_backward));
  m.impl("bilstm", TORCH_BOX(&textnn::ops::bilstm));
  m.impl("bilstm_backward", TORCH_BOX(&textnn::ops::bilstm_backward));
}
