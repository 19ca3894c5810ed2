// textnn::recurrent and its backward operator on CUDA. Products over all steps at once are left to cuBLAS; the
// recurrence is in cuda/recurrent.h. Vectors are brought into packed order first, where they are not in it: one pass
// over them, after which no product sees padding.
#include "../recurrent.h"
#include "../../cuda/product.h"
#include "../../cuda/recurrent.h"
#include "../../cuda/rows.h"
#include "check_device.h"
#include "distinct.h"
#include "embedding.h"
#include "recurrence.h"
#include "schedule.h"

namespace textnn::ops::cuda {
namespace {

using textnn::cuda::Compute;

void check_devices(const Recurrent& r) {
  check_device("ids", r.positions, r.x);
  check_device("h0", r.h0, r.x);
  check_device("c0", r.c0, r.x);
  for (const Direction& d : r.directions) {
    for (const Tensor* t : {&d.w_ih, &d.w_hh}) check_device("every weight", *t, r.x);
    for (const OptionalTensor* t : {&d.b_ih, &d.b_hh, &d.w_hr}) check_device("every weight", *t, r.x);
  }
}

void check_devices(const Recurrent& r, const OutputGradients& given, const Kept& kept) {
  check_devices(r);
  for (const OptionalTensor* t : {&given.dy, &given.dh_n, &given.dc_n, &given.dc})
    check_device("every gradient", *t, r.x);
  for (const Tensor* t : {&kept.kept, &kept.cells, &kept.h_prev, &kept.unprojected})
    check_device("every kept tensor", *t, r.x);
}

// The input's vectors [rows, I] in packed order.
Tensor packed(const Device& device, const Recurrent& r, const DeviceSchedule& ragged) {
  const Tensor& x = r.x;
  if (!r.tokens && ragged.is_packed(x)) return torch::stable::view(x, {ragged.rows(), r.I});
  Tensor to = empty(x, {ragged.rows(), r.I});
  dispatch(x, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::pack_rows<E>(device.stream,
                               {ragged.schedule(), ragged.layout(r.positions), r.I, data<E>(x),
                                r.tokens ? data<int64_t>(r.positions) : nullptr, x.size(0), writable<E>(to)});
  });
  return to;
}

// Products of the input with W_ih, for each row or for each distinct token.
class Products {
 public:
  Products(const Device& device, const Recurrent& r, const DeviceSchedule& ragged)
      : device_(device), tf32_(r.cuda.tf32) {
    if (!r.tokens) {
      x_ = packed(device, r, ragged);
      return;
    }
    x_ = r.x;
    distinct_.emplace(device, r.positions, r.x.size(0));
    token_ = empty(r.x, {ragged.rows()}, ScalarType::Int);
    textnn::cuda::pack_rows<int32_t>(
        device.stream, {ragged.schedule(), ragged.layout(r.positions), 1, data<int32_t>(distinct_->token), nullptr, 0,
                        writable<int32_t>(*token_)});
  }
  const int32_t* token() const { return data<int32_t>(token_); }

  // [rows or distinct tokens, GH] in what is computed in.
  Tensor with(const Tensor& w_ih) const {
    const Tensor& x = *x_;
    const int64_t M = distinct_ ? distinct_->most : x.size(0), N = w_ih.size(0);
    Tensor to = empty(x, {M, N}, compute_type(x));
    if (!distinct_ && compute_type(x) == x.scalar_type()) {
      mm_out(to, x, t(w_ih));
    } else {  // cuBLAS would round the products of halves to halves
      dispatch(x, [&](auto zero) {
        using E = decltype(zero);
        textnn::cuda::product<E>(
            device_.stream,
            {M, distinct_ ? data<int32_t>(distinct_->count) : nullptr, N, x.size(1), data<E>(x),
             distinct_ ? data<int64_t>(distinct_->id) : nullptr, data<E>(w_ih), writable<Compute<E>>(to), tf32_});
      });
    }
    return to;
  }

 private:
  const Device& device_;
  const bool tf32_;
  OptionalTensor x_, token_;
  std::optional<Distinct> distinct_;
};

struct OnCuda {
  static ForwardResult forward(const Recurrent& r, const Wanted& wanted) {
    const Device device(r.x);
    check_devices(r);
    const DeviceSchedule ragged(device, r.positions, r.sizes, r.layout, r.B);
    const int64_t each = wanted.exact ? ragged.rows() : r.rows(), padded = r.padded_units();
    const auto of_steps = [&](bool is_wanted, int64_t columns) {
      Tensor t = empty(r.x, is_wanted ? r.leading(r.D * columns) : std::vector<int64_t>{0});
      if (is_wanted && ragged.has_padding()) torch::stable::zero_(t);
      return t;
    };
    Tensor y = of_steps(wanted.outputs, r.P), c = of_steps(wanted.cells, r.H);
    Tensor steps_c = empty(r.x, {wanted.cells ? r.D * ragged.rows() : 0, r.H});
    Tensor h_n = torch::stable::empty_like(r.h0);
    Tensor c_n = r.c0 ? torch::stable::empty_like(*r.c0) : empty(r.x, {0});
    Tensors kept;
    for (const auto& shape : Kept::shapes(r, wanted.save ? r.D * each : 0)) kept.push_back(empty(r.x, shape));
    if (padded != r.H)  // what no unit writes: results must not depend on what memory held
      for (const Tensor& k : {torch::stable::view(kept[0], {kept[0].size(0) * r.cell.kept, padded}), kept[1]})
        zero_behind(k, r.H);
    // Rows behind the last one take part in the products of the backward pass, with gradients of zero.
    if (!ragged.exact())
      for (Tensor* k : {&kept[2], &kept[3]}) torch::stable::zero_(*k);

    const Products products(device, r, ragged);
    Tensors product;
    for (const Direction& w : r.directions) product.push_back(products.with(w.w_ih));
    dispatch(r.x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::RecurrentForward<E> a{};
      a.schedule = ragged.schedule();
      a.H = r.H;
      a.P = r.P;
      a.padded = padded;
      a.directions = int(r.D);
      if (wanted.outputs) a.y_layout = ragged.layout(y);
      for (int64_t d = 0; d < r.D; ++d) {
        const Direction& w = r.directions[size_t(d)];
        auto& to = a.direction[d];
        to.reverse = w.reverse;
        to.products = data<Compute<E>>(product[size_t(d)]);
        to.token = products.token();
        to.w_hh = data<E>(w.w_hh);
        to.b_ih = data<E>(w.b_ih);
        to.b_hh = data<E>(w.b_hh);
        to.h0 = at(data<E>(r.h0), d * r.B * r.P);
        to.c0 = at(data<E>(r.c0), d * r.B * r.H);
        to.y = at(writable<E>(y), d * r.P);
        to.h_n = at(writable<E>(h_n), d * r.B * r.P);
        to.c_n = at(writable<E>(c_n), d * r.B * r.H);
        to.steps_c = at(writable<E>(steps_c), d * ragged.rows() * r.H);
        to.kept = at(writable<E>(kept[0]), d * each * r.cell.kept * padded);
        to.cells = at(writable<E>(kept[1]), d * each * padded);
        to.h_prev = at(writable<E>(kept[2]), d * each * r.P);
        to.unprojected = at(writable<E>(kept[3]), d * each * r.H);
      }
      run_forward<E>(device, ragged, r, a);
      for (int64_t d = 0; wanted.cells && d < r.D; ++d)
        textnn::cuda::unpack_rows<E>(device.stream, {ragged.schedule(), ragged.layout(c), r.H, a.direction[d].steps_c,
                                                     nullptr, at(writable<E>(c), d * r.H)});
    });
    return {y, h_n, c_n, c, kept[0], kept[1], kept[2], kept[3]};
  }

  static BackwardResult backward(const Recurrent& r, const OutputGradients& given, const Kept& kept, bool need_dx,
                                 const TableOptions& table) {
    const Device device(r.x);
    check_devices(r, given, kept);
    const DeviceSchedule ragged(device, r.positions, r.sizes, r.layout, r.B);
    const int64_t N = ragged.rows(), each = kept.rows(r, N), padded = r.padded_units(), GH = r.cell.blocks * r.H;
    Tensor dh0 = torch::stable::empty_like(r.h0);
    Tensor dc0 = r.c0 ? torch::stable::empty_like(*r.c0) : empty(r.x, {0});
    const bool two = r.cell.sums != r.cell.blocks;  // whether the products add to different sums
    Tensor dstate = empty(r.x, {r.D * N, GH}), dinput = two ? empty(r.x, {r.D * N, GH}) : dstate;
    Tensor dsteps = empty(r.x, {given.dc ? r.D * N : 0, r.H});
    Tensor dprojected = empty(r.x, {r.projected() ? r.D * N : 0, r.P});
    if (!ragged.exact())
      for (Tensor* g : {&dstate, &dprojected}) torch::stable::zero_(*g);
    if (!ragged.exact() && two) torch::stable::zero_(dinput);
    dispatch(r.x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::RecurrentBackward<E> a{};
      a.schedule = ragged.schedule();
      a.H = r.H;
      a.P = r.P;
      a.padded = padded;
      a.directions = int(r.D);
      if (given.dy) a.dy_layout = ragged.layout(*given.dy);
      for (int64_t d = 0; d < r.D; ++d) {
        auto& to = a.direction[d];
        to.reverse = r.directions[size_t(d)].reverse;
        to.dy = at(data<E>(given.dy), d * r.P);
        to.dh_n = at(data<E>(given.dh_n), d * r.B * r.P);
        to.dc_n = at(data<E>(given.dc_n), d * r.B * r.H);
        if (given.dc) {
          E* dc = at(writable<E>(dsteps), d * N * r.H);
          textnn::cuda::pack_rows<E>(device.stream, {ragged.schedule(), ragged.layout(*given.dc), r.H,
                                                     at(data<E>(given.dc), d * r.H), nullptr, 0, dc});
          to.dsteps = dc;
        }
        to.c0 = at(data<E>(r.c0), d * r.B * r.H);
        to.w_hh = data<E>(r.directions[size_t(d)].w_hh);
        to.kept = at(data<E>(kept.kept), d * each * r.cell.kept * padded);
        to.cells = at(data<E>(kept.cells), d * each * padded);
        to.h_prev = at(data<E>(kept.h_prev), d * each * r.P);
        to.dinput = at(writable<E>(dinput), d * N * GH);
        to.dstate = at(writable<E>(dstate), d * N * GH);
        to.dprojected = at(writable<E>(dprojected), d * N * r.P);
        to.dh0 = at(writable<E>(dh0), d * r.B * r.P);
        to.dc0 = at(writable<E>(dc0), d * r.B * r.H);
      }
      run_backward<E>(device, ragged, r, a);
    });

    const Tensor vectors = packed(device, r, ragged);
    Tensors dw = weight_gradients(r), parts;
    for (int64_t d = 0; d < r.D; ++d) {
      const Tensor input = rows(dinput, d * N, N), state = rows(dstate, d * N, N);
      Tensor* gradient = &dw[size_t(d) * kWeights];
      mm_out(gradient[0], t(input), vectors);
      mm_out(gradient[1], t(state), rows(kept.h_prev, d * each, N));
      if (r.projected()) mm_out(gradient[4], t(rows(dprojected, d * N, N)), rows(kept.unprojected, d * each, N));
      bias_gradients(gradient[2], input, gradient[3], state, !two);
      if (need_dx) parts.push_back(mm(input, r.directions[size_t(d)].w_ih));
    }
    Tensor dx = need_dx ? input_gradient(device, r, ragged, parts) : empty(r.x, {0});
    if (!r.tokens) return {dx, empty(r.x, {0}), dh0, dc0, dw};
    if (!need_dx) return {empty(r.x, {0, r.I}), empty(r.positions, {0}), dh0, dc0, dw};
    const TableGradient g = table_gradient(device, torch::stable::view(dx, {r.rows(), r.I}), r.positions, r.x.size(0),
                                           table.padding, table.sparse);
    return {g.dtable, g.distinct, dh0, dc0, dw};
  }

 private:
  // Columns from `first` on.
  static void zero_behind(const Tensor& t, int64_t first) {
    Tensor all = t, behind = torch::stable::narrow(all, 1, first, t.size(1) - first);
    torch::stable::zero_(behind);
  }

  // Empty ones are not wanted. same: whether both have the same gradient.
  static void bias_gradients(Tensor& db_ih, const Tensor& dinput, Tensor& db_hh, const Tensor& dstate, bool same) {
    const bool ih = db_ih.numel() > 0, hh = db_hh.numel() > 0;
    if (ih) sum_rows_out(db_ih, dinput);
    if (hh && ih && same)
      torch::stable::copy_(db_hh, db_ih);
    else if (hh)
      sum_rows_out(db_hh, dstate);
  }

  // The sum of both directions' gradients [N, I] where the input's vectors stand.
  static Tensor input_gradient(const Device& device, const Recurrent& r, const DeviceSchedule& ragged,
                               const Tensors& parts) {
    const std::vector<int64_t> shape = r.leading(r.I);
    const bool in_place = ragged.is_packed(r.positions);
    if (in_place && parts.size() == 1) return torch::stable::view(parts[0], shape);
    Tensor dx = empty(r.x, shape);
    if (ragged.has_padding()) torch::stable::zero_(dx);
    dispatch(dx, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::unpack_rows<E>(device.stream, {ragged.schedule(), ragged.layout(dx), r.I, data<E>(parts[0]),
                                                   parts.size() > 1 ? data<E>(parts[1]) : nullptr, writable<E>(dx)});
    });
    return dx;
  }
};

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  using textnn::ops::RecurrentOperators, textnn::ops::cuda::OnCuda;
  m.impl("recurrent", TORCH_BOX(&RecurrentOperators<OnCuda>::forward));
  m.impl("recurrent_backward", TORCH_BOX(&RecurrentOperators<OnCuda>::backward));
}
