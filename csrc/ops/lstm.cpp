// textnn::lstm, one layer and direction over a ragged batch; textnn::bilstm, both directions; textnn::embedding_lstm,
// either of them from token ids; and their backward operators.
#include <numeric>
#include "../cpu/embedding.h"
#include "../cpu/lstm.h"
#include "distinct.h"
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

// The input: vectors, or with `tokens` the rows of a table that stand at each id.
struct Input {
  Tensor x;          // [.., I], or [V, I]
  Tensor positions;  // x, or the ids [..]
  const Distinct* tokens;

  int64_t I() const { return x.size(x.dim() - 1); }
  // The dimensions before I.
  int64_t dims() const { return tokens ? positions.dim() : x.dim() - 1; }
  std::vector<int64_t> leading(int64_t last) const {
    std::vector<int64_t> size;
    for (int64_t i = 0; i < dims(); ++i) size.push_back(positions.size(i));
    size.push_back(last);
    return size;
  }
  int64_t rows() const {
    int64_t n = 1;
    for (int64_t i = 0; i < dims(); ++i) n *= positions.size(i);
    return n;
  }
  cpu::Tokens cpu_tokens() const {
    return tokens ? cpu::Tokens{tokens->U, tokens->id.data(), tokens->token.data()} : cpu::Tokens{};
  }
};

Input vectors(const Tensor& x) {
  const Tensor t = with_contiguous_vectors(x);
  return {t, t, nullptr};
}

struct Sizes {
  int64_t B, I, H, P;
};

// States have a leading dimension for the direction, but where there is one and vectors.
Sizes check(const Input& input, const Tensor& h0, const Tensor& c0, const Directions& directions,
            const std::string& layout) {
  const Tensor& x = input.x;
  const RaggedLayout kind = parse_layout(layout);
  const int64_t dims = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 1 : 2;
  const int64_t state = directions.size() == 1 && !input.tokens ? 2 : 3;
  STD_TORCH_CHECK(input.dims() == dims, "textnn: ", input.tokens ? "ids" : "x", " must have ",
                  dims + (input.tokens ? 0 : 1), " dimensions, got shape ", shape_of(input.positions));
  STD_TORCH_CHECK(h0.dim() == state && c0.dim() == state, "textnn: h0 and c0 must have ", state,
                  " dimensions, got shapes ", shape_of(h0), " and ", shape_of(c0));
  const Sizes n{h0.size(state - 2), input.I(), c0.size(state - 1), h0.size(state - 1)};
  std::vector<int64_t> h_shape{n.B, n.P}, c_shape{n.B, n.H};
  if (state == 3) {
    h_shape.insert(h_shape.begin(), int64_t(directions.size()));
    c_shape.insert(c_shape.begin(), int64_t(directions.size()));
  }
  check_shape("h0", h0, h_shape);
  check_shape("c0", c0, c_shape);
  STD_TORCH_CHECK(n.H > 0 && n.P > 0, "textnn: h0 and c0 must have at least one column, got ", n.P, " and ", n.H);
  for (const Tensor* t : {&h0, &c0}) check_dtype("every tensor", *t, x);
  for (const Direction& d : directions) {
    check_shape("w_ih", d.w_ih, {4 * n.H, n.I});
    check_shape("w_hh", d.w_hh, {4 * n.H, n.P});
    STD_TORCH_CHECK(d.w_hr.has_value() == directions[0].w_hr.has_value(), "textnn: w_hr belongs to both directions");
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

Forward forward(const Input& input, const Tensor& h0_, const Tensor& c0_, const Directions& directions,
                const OptionalTensor& sizes, const std::string& layout, bool outputs, bool save) {
  const Sizes n = check(input, h0_, c0_, directions, layout);
  const Tensor &x = input.x, h0 = compact(h0_), c0 = compact(c0_);
  const Ragged ragged(input.positions, sizes, layout, n.B);
  const int64_t D = int64_t(directions.size()), N = ragged.steps();
  Tensor y = outputs ? pooled(x, input.leading(D * n.P)) : empty(x, {0});
  if (outputs && ragged.has_padding()) torch::stable::zero_(y);
  Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
  const int64_t rows = save ? D * input.rows() : 0;
  Kept kept(x, n, rows, D * N, directions[0].w_hr.has_value());
  const auto x_offsets = ragged.offsets(input.positions);
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
      a.tokens = input.cpu_tokens();
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
                   const Input& input, const Tensor& c0_, const Directions& directions, const OptionalTensor& sizes,
                   const std::string& layout, const Tensor& gates, const Tensor& cells, const Tensor& h_prev,
                   const Tensor& unprojected, bool need_dx) {
  const Tensor &x = input.x, c0 = compact(c0_);
  const OptionalTensor dy = dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt;
  const OptionalTensor dh_n = compact(dh_n_), dc_n = compact(dc_n_);
  const int64_t D = int64_t(directions.size()), I = input.I(), P = directions[0].w_hh.size(1);
  const int64_t B = c0.size(c0.dim() - 2), H = c0.size(c0.dim() - 1);
  const Ragged ragged(input.positions, sizes, layout, B);
  const int64_t N = ragged.steps();
  STD_TORCH_CHECK(gates.size(0) == D * input.rows(), "textnn: the backward pass needs what was kept with save=True");

  std::vector<int64_t> h_shape{B, P};
  if (c0.dim() == 3) h_shape.insert(h_shape.begin(), D);
  const bool padded_dx = need_dx && !input.tokens;
  const std::vector<int64_t> dx_shape = input.tokens ? std::vector<int64_t>{input.tokens->U, I} : input.leading(I);
  Gradients out{
      pooled(x, need_dx ? dx_shape : std::vector<int64_t>{0}), empty(x, h_shape), torch::stable::empty_like(c0), {}};
  if (padded_dx && ragged.has_padding()) torch::stable::zero_(out.dx);
  const auto x_offsets = ragged.offsets(input.positions);
  const auto dy_offsets = dy ? ragged.offsets(*dy) : Ragged::Offsets{};
  const auto dx_offsets = padded_dx ? ragged.offsets(out.dx) : Ragged::Offsets{};
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
      a.tokens = input.cpu_tokens();
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
  return forward(vectors(x), h0, c0, {{w_ih, w_hh, b_ih, b_hh, w_hr, reverse}}, sizes, layout, outputs, save);
}

Forward bilstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh,
               const OptionalTensor& b_ih, const OptionalTensor& b_hh, const OptionalTensor& w_hr,
               const Tensor& w_ih_reverse, const Tensor& w_hh_reverse, const OptionalTensor& b_ih_reverse,
               const OptionalTensor& b_hh_reverse, const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes,
               std::string layout, bool outputs, bool save) {
  return forward(vectors(x), h0, c0,
                 {{w_ih, w_hh, b_ih, b_hh, w_hr, false},
                  {w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse, true}},
                 sizes, layout, outputs, save);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
    const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x, const Tensor& c0,
    const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr, const OptionalTensor& sizes, std::string layout,
    bool reverse, const Tensor& gates, const Tensor& cells, const Tensor& h_prev, const Tensor& unprojected,
    bool need_dx) {
  const Gradients g =
      backward(dy, dh_n, dc_n, vectors(x), c0, {{w_ih, w_hh, std::nullopt, std::nullopt, w_hr, reverse}}, sizes, layout,
               gates, cells, h_prev, unprojected, need_dx);
  return {g.dx, g.dh0, g.dc0, g.dw[0].ih, g.dw[0].hh, g.dw[0].b, g.dw[0].hr};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> bilstm_backward(
    const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x, const Tensor& c0,
    const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr, const Tensor& w_ih_reverse,
    const Tensor& w_hh_reverse, const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes, std::string layout,
    const Tensor& gates, const Tensor& cells, const Tensor& h_prev, const Tensor& unprojected, bool need_dx) {
  const Gradients g = backward(dy, dh_n, dc_n, vectors(x), c0,
                               {{w_ih, w_hh, std::nullopt, std::nullopt, w_hr, false},
                                {w_ih_reverse, w_hh_reverse, std::nullopt, std::nullopt, w_hr_reverse, true}},
                               sizes, layout, gates, cells, h_prev, unprojected, need_dx);
  return {g.dx,       g.dh0,      g.dc0,      g.dw[0].ih, g.dw[0].hh, g.dw[0].b,
          g.dw[0].hr, g.dw[1].ih, g.dw[1].hh, g.dw[1].b,  g.dw[1].hr};
}

// One direction, or two where the weights of the reverse one are given.
Directions one_or_two(const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& b_ih, const OptionalTensor& b_hh,
                      const OptionalTensor& w_hr, const OptionalTensor& w_ih_reverse,
                      const OptionalTensor& w_hh_reverse, const OptionalTensor& b_ih_reverse,
                      const OptionalTensor& b_hh_reverse, const OptionalTensor& w_hr_reverse) {
  Directions d{{w_ih, w_hh, b_ih, b_hh, w_hr, false}};
  STD_TORCH_CHECK(w_ih_reverse.has_value() == w_hh_reverse.has_value(), "textnn: reverse weights belong together");
  if (w_ih_reverse) d.push_back({*w_ih_reverse, *w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse, true});
  return d;
}

Forward embedding_lstm(const Tensor& ids_, const Tensor& table_, const Tensor& h0, const Tensor& c0, const Tensor& w_ih,
                       const Tensor& w_hh, const OptionalTensor& b_ih, const OptionalTensor& b_hh,
                       const OptionalTensor& w_hr, const OptionalTensor& w_ih_reverse,
                       const OptionalTensor& w_hh_reverse, const OptionalTensor& b_ih_reverse,
                       const OptionalTensor& b_hh_reverse, const OptionalTensor& w_hr_reverse,
                       const OptionalTensor& sizes, std::string layout, int64_t /*padding_idx*/, bool /*sparse*/,
                       bool outputs, bool save) {
  STD_TORCH_CHECK(table_.dim() == 2, "textnn: table must have shape [V, D], got ", shape_of(table_));
  const Tensor ids = compact(ids_), table = compact(table_);
  const Distinct distinct(ids, table.size(0));
  return forward(
      {table, ids, &distinct}, h0, c0,
      one_or_two(w_ih, w_hh, b_ih, b_hh, w_hr, w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse),
      sizes, layout, outputs, save);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
embedding_lstm_backward(const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n,
                        const Tensor& ids_, const Tensor& table_, const Tensor& c0, const Tensor& w_ih,
                        const Tensor& w_hh, const OptionalTensor& w_hr, const OptionalTensor& w_ih_reverse,
                        const OptionalTensor& w_hh_reverse, const OptionalTensor& w_hr_reverse,
                        const OptionalTensor& sizes, std::string layout, const Tensor& gates, const Tensor& cells,
                        const Tensor& h_prev, const Tensor& unprojected, int64_t padding_idx, bool sparse,
                        bool need_dtable) {
  const Tensor ids = compact(ids_), table = compact(table_);
  const Distinct distinct(ids, table.size(0));
  const Gradients g = backward(dy, dh_n, dc_n, {table, ids, &distinct}, c0,
                               one_or_two(w_ih, w_hh, std::nullopt, std::nullopt, w_hr, w_ih_reverse, w_hh_reverse,
                                          std::nullopt, std::nullopt, w_hr_reverse),
                               sizes, layout, gates, cells, h_prev, unprojected, need_dtable);
  const int64_t V = table.size(0), D = table.size(1);
  Tensor rows = torch::stable::new_empty(ids, {sparse ? distinct.U : 0});
  if (sparse) std::copy_n(distinct.id.data(), distinct.U, writable<int64_t>(rows));
  Tensor dtable = need_dtable ? pooled(table, {sparse ? distinct.U : V, D}) : empty(table, {0, D});
  if (need_dtable) {
    std::vector<int32_t> token(static_cast<size_t>(distinct.U));
    std::iota(token.begin(), token.end(), 0);
    dispatch(table, [&](auto zero) {
      using T = decltype(zero);
      const T* dx = distinct.U ? g.dx.template const_data_ptr<T>() : nullptr;
      cpu::embedding_backward<T>(torch_threads(), {distinct.U, D, distinct.U, distinct.id.data(), token.data(), dx,
                                                   dtable.size(0), !sparse, padding_idx, writable<T>(dtable)});
    });
  }
  const auto none = [&] { return empty(table, {0}); };
  const Gradients::Weights second = g.dw.size() == 2 ? g.dw[1] : Gradients::Weights{none(), none(), none(), none()};
  return {dtable,    rows,       g.dh0,     g.dc0,     g.dw[0].ih, g.dw[0].hh,
          g.dw[0].b, g.dw[0].hr, second.ih, second.hh, second.b,   second.hr};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::lstm_backward));
  m.impl("bilstm", TORCH_BOX(&textnn::ops::bilstm));
  m.impl("bilstm_backward", TORCH_BOX(&textnn::ops::bilstm_backward));
  m.impl("embedding_lstm", TORCH_BOX(&textnn::ops::embedding_lstm));
  m.impl("embedding_lstm_backward", TORCH_BOX(&textnn::ops::embedding_lstm_backward));
}
