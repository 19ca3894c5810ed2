// textnn::lstm, bilstm, embedding_lstm and their backward operators on CUDA. Products over all steps at once are left
// to cuBLAS; the recurrence is in cuda/lstm.h. Vectors are brought into packed order first, where they are not in it:
// one pass over them, after which no product sees padding.
#include "../../cuda/lstm.h"
#include "../../cuda/lstm_choice.h"
#include "../../cuda/product.h"
#include "../../cuda/rows.h"
#include "../lstm_operators.h"
#include "check_device.h"
#include "distinct.h"
#include "embedding.h"
#include "options.h"
#include "recurrence.h"
#include "schedule.h"

namespace textnn::ops::cuda {
namespace {

using textnn::cuda::Compute;

void check_devices(const LstmInput& input, const Tensor& c0, const LstmDirections& directions) {
  check_device("ids", input.positions, input.x);
  check_device("c0", c0, input.x);
  for (const LstmDirection& d : directions) {
    for (const Tensor* t : {&d.w_ih, &d.w_hh}) check_device("every tensor", *t, input.x);
    for (const OptionalTensor* t : {&d.b_ih, &d.b_hh, &d.w_hr}) check_device("every tensor", *t, input.x);
  }
}

// The input's vectors [rows, I] in packed order.
Tensor packed(const Device& device, const LstmInput& input, const DeviceSchedule& ragged) {
  const Tensor& x = input.x;
  const int64_t I = input.I();
  if (!input.tokens && ragged.is_packed(x)) return torch::stable::view(x, {ragged.rows(), I});
  Tensor to = empty(x, {ragged.rows(), I});
  dispatch(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::pack_rows<E>(device.stream,
                               {ragged.schedule(), ragged.layout(input.positions), I, data<E>(x),
                                input.tokens ? data<int64_t>(input.positions) : nullptr, x.size(0), writable<E>(to)});
  });
  return to;
}

// Products of the input with W_ih, for each row or for each distinct token.
class Products {
 public:
  Products(const Device& device, const LstmInput& input, const DeviceSchedule& ragged) : device_(device) {
    if (!input.tokens) {
      x_ = packed(device, input, ragged);
      return;
    }
    x_ = input.x;
    distinct_.emplace(device, input.positions, input.x.size(0));
    token_ = empty(input.x, {ragged.rows()}, ScalarType::Int);
    textnn::cuda::pack_rows<int32_t>(
        device.stream, {ragged.schedule(), ragged.layout(input.positions), 1, data<int32_t>(distinct_->token), nullptr,
                        0, writable<int32_t>(*token_)});
  }
  const int32_t* token() const { return data<int32_t>(token_); }

  // [rows or distinct tokens, 4H] in what is computed in.
  Tensor with(const Tensor& w_ih) const {
    const Tensor& x = *x_;
    const int64_t M = distinct_ ? distinct_->most : x.size(0), N = w_ih.size(0);
    Tensor to = empty(x, {M, N}, compute_type(x));
    if (!distinct_ && compute_type(x) == x.scalar_type()) {
      mm_out(to, x, t(w_ih));
    } else {  // cuBLAS would round the products of halves to halves
      dispatch(x, [&](auto zero) {
        using E = decltype(zero);
        textnn::cuda::product<E>(device_.stream,
                                 {M, distinct_ ? data<int32_t>(distinct_->count) : nullptr, N, x.size(1), data<E>(x),
                                  distinct_ ? data<int64_t>(distinct_->id) : nullptr, data<E>(w_ih),
                                  writable<Compute<E>>(to), options().tf32});
      });
    }
    return to;
  }

 private:
  const Device& device_;
  OptionalTensor x_, token_;
  std::optional<Distinct> distinct_;
};

struct OnCuda {
  static LstmForwardResult forward(const LstmInput& input, const Tensor& h0_, const Tensor& c0_,
                                   const LstmDirections& directions, const OptionalTensor& sizes,
                                   const std::string& layout, bool outputs, bool save) {
    const Device device(input.x);
    const LstmSizes n = check_lstm(input, h0_, c0_, directions, layout);
    check_devices(input, c0_, directions);
    check_device("h0", h0_, input.x);
    const Tensor &x = input.x, h0 = compact(h0_), c0 = compact(c0_);
    const DeviceSchedule ragged(device, input.positions, sizes, layout, n.B);
    const int64_t D = int64_t(directions.size()), each = input.rows(), rows = save ? D * each : 0;
    const int64_t padded = padded_units(x, n.H);
    const bool projected = directions[0].w_hr.has_value();

    Tensor y = empty(x, outputs ? input.leading(D * n.P) : std::vector<int64_t>{0});
    if (outputs && ragged.has_padding()) torch::stable::zero_(y);
    Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
    LstmKept kept{empty(x, {rows, 4 * padded}), empty(x, {rows, padded}), empty(x, {rows, n.P}),
                  empty(x, {projected ? rows : 0, n.H})};
    if (padded != n.H)  // what no unit writes: results must not depend on what memory held
      for (const Tensor& k : {torch::stable::view(kept.gates, {rows * 4, padded}), kept.cells}) zero_behind(k, n.H);
    // Rows behind the last one take part in the products of the backward pass, with gradients of zero.
    if (!ragged.exact())
      for (Tensor* k : {&kept.h_prev, &kept.unprojected}) torch::stable::zero_(*k);

    const Products products(device, input, ragged);
    Tensors product;
    for (const LstmDirection& w : directions) product.push_back(products.with(w.w_ih));
    dispatch(x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::LstmForward<E> a{};
      a.schedule = ragged.schedule();
      a.H = n.H;
      a.P = n.P;
      a.padded = padded;
      a.directions = int(D);
      if (outputs) a.y_layout = ragged.layout(y);
      for (int64_t d = 0; d < D; ++d) {
        const LstmDirection& w = directions[size_t(d)];
        auto& to = a.direction[d];
        to.reverse = w.reverse;
        to.products = data<Compute<E>>(product[size_t(d)]);
        to.token = products.token();
        to.w_hh = data<E>(w.w_hh);
        to.b_ih = data<E>(w.b_ih);
        to.b_hh = data<E>(w.b_hh);
        to.h0 = at(data<E>(h0), d * n.B * n.P);
        to.c0 = at(data<E>(c0), d * n.B * n.H);
        to.y = at(writable<E>(y), d * n.P);
        to.h_n = at(writable<E>(h_n), d * n.B * n.P);
        to.c_n = at(writable<E>(c_n), d * n.B * n.H);
        to.gates = at(writable<E>(kept.gates), d * each * 4 * padded);
        to.cells = at(writable<E>(kept.cells), d * each * padded);
        to.h_prev = at(writable<E>(kept.h_prev), d * each * n.P);
        to.unprojected = at(writable<E>(kept.unprojected), d * each * n.H);
      }
      run_forward<E>(device, ragged, x, directions, a);
    });
    return {y, h_n, c_n, kept.gates, kept.cells, kept.h_prev, kept.unprojected};
  }

  static LstmGradients backward(const OptionalTensor& dy_, const OptionalTensor& dh_n_, const OptionalTensor& dc_n_,
                                const LstmInput& input, const Tensor& c0_, const LstmDirections& directions,
                                const OptionalTensor& sizes, const std::string& layout, const LstmKept& kept,
                                bool need_dx, const TableOptions& table) {
    const Device device(input.x);
    check_devices(input, c0_, directions);
    const Tensor &x = input.x, c0 = compact(c0_);
    const OptionalTensor dy = dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt;
    const OptionalTensor dh_n = compact(dh_n_), dc_n = compact(dc_n_);
    const int64_t D = int64_t(directions.size()), each = input.rows(), P = directions[0].w_hh.size(1);
    const int64_t B = c0.size(c0.dim() - 2), H = c0.size(c0.dim() - 1), padded = padded_units(x, H);
    STD_TORCH_CHECK(kept.gates.size(0) == D * each, "textnn: the backward pass needs what was kept with save=True");
    const DeviceSchedule ragged(device, input.positions, sizes, layout, B);
    const int64_t N = ragged.rows();
    const bool projected = directions[0].w_hr.has_value();

    std::vector<int64_t> h_shape{B, P};
    if (c0.dim() == 3) h_shape.insert(h_shape.begin(), D);
    LstmGradients out{empty(x, {0}),
                      empty(input.positions, {0}, ScalarType::Long),
                      empty(x, h_shape),
                      torch::stable::empty_like(c0),
                      {}};
    Tensor dgates = empty(x, {D * N, 4 * H}), dprojected = empty(x, {projected ? D * N : 0, P});
    if (!ragged.exact())
      for (Tensor* g : {&dgates, &dprojected}) torch::stable::zero_(*g);
    dispatch(x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::LstmBackward<E> a{};
      a.schedule = ragged.schedule();
      a.H = H;
      a.P = P;
      a.padded = padded;
      a.directions = int(D);
      if (dy) a.dy_layout = ragged.layout(*dy);
      for (int64_t d = 0; d < D; ++d) {
        auto& to = a.direction[d];
        to.reverse = directions[size_t(d)].reverse;
        to.dy = at(data<E>(dy), d * P);
        to.dh_n = at(data<E>(dh_n), d * B * P);
        to.dc_n = at(data<E>(dc_n), d * B * H);
        to.c0 = at(data<E>(c0), d * B * H);
        to.w_hh = data<E>(directions[size_t(d)].w_hh);
        to.gates = at(data<E>(kept.gates), d * each * 4 * padded);
        to.cells = at(data<E>(kept.cells), d * each * padded);
        to.dgates = at(writable<E>(dgates), d * N * 4 * H);
        to.dprojected = at(writable<E>(dprojected), d * N * P);
        to.dh0 = at(writable<E>(out.dh0), d * B * P);
        to.dc0 = at(writable<E>(out.dc0), d * B * H);
      }
      run_backward<E>(device, ragged, x, directions, a);
    });

    const Tensor vectors = packed(device, input, ragged);
    Tensors dx;
    for (int64_t d = 0; d < D; ++d) {
      const LstmDirection& w = directions[size_t(d)];
      const Tensor g = rows(dgates, d * N, N);
      out.dw.push_back(
          {mm(t(g), vectors), mm(t(g), rows(kept.h_prev, d * each, N)), sum_rows(g),
           projected ? mm(t(rows(dprojected, d * N, N)), rows(kept.unprojected, d * each, N)) : empty(x, {0, 0})});
      if (need_dx) dx.push_back(mm(g, w.w_ih));
    }
    if (need_dx) out.dx = input_gradient(device, input, ragged, dx);
    if (input.tokens) to_table(device, input, need_dx, table, out);
    return out;
  }

 private:
  // Columns from `first` on.
  static void zero_behind(const Tensor& t, int64_t first) {
    Tensor all = t, behind = torch::stable::narrow(all, 1, first, t.size(1) - first);
    torch::stable::zero_(behind);
  }

  // The sum of both directions' gradients [N, I] where the input's vectors stand.
  static Tensor input_gradient(const Device& device, const LstmInput& input, const DeviceSchedule& ragged,
                               const Tensors& parts) {
    const std::vector<int64_t> shape = input.leading(input.I());
    const bool in_place = input.tokens ? ragged.is_packed(input.positions) : ragged.is_packed(input.x);
    if (in_place && parts.size() == 1) return torch::stable::view(parts[0], shape);
    Tensor dx = empty(input.x, shape);
    if (ragged.has_padding()) torch::stable::zero_(dx);
    dispatch(dx, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::unpack_rows<E>(device.stream, {ragged.schedule(), ragged.layout(dx), input.I(), data<E>(parts[0]),
                                                   parts.size() > 1 ? data<E>(parts[1]) : nullptr, writable<E>(dx)});
    });
    return dx;
  }

  // The gradient of the table from that of the positions, which is in out.dx.
  static void to_table(const Device& device, const LstmInput& input, bool need, const TableOptions& options,
                       LstmGradients& out) {
    const int64_t V = input.x.size(0), I = input.I();
    if (!need) {
      out.dx = empty(input.x, {0, I});
      return;
    }
    const Tensor positions = torch::stable::view(out.dx, {input.rows(), I});
    const TableGradient g = table_gradient(device, positions, input.positions, V, options.padding, options.sparse);
    out.dx = g.dtable;
    out.distinct = g.distinct;
  }
};

using Lstm = LstmOperators<OnCuda>;

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::cuda::Lstm::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::cuda::Lstm::lstm_backward));
  m.impl("bilstm", TORCH_BOX(&textnn::ops::cuda::Lstm::bilstm));
  m.impl("bilstm_backward", TORCH_BOX(&textnn::ops::cuda::Lstm::bilstm_backward));
  m.impl("embedding_lstm", TORCH_BOX(&textnn::ops::cuda::Lstm::embedding_lstm));
  m.impl("embedding_lstm_backward", TORCH_BOX(&textnn::ops::cuda::Lstm::embedding_lstm_backward));
}
