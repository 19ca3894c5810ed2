// Checks of the recurrent operators' arguments.
#include "recurrent.h"

namespace textnn::ops {
namespace {

std::vector<Direction> directions_of(const Weights& weights, bool reverse) {
  const bool both = weights[kWeights].has_value();
  STD_TORCH_CHECK(both == weights[kWeights + 1].has_value(),
                  "textnn: the reverse direction must have both w_ih and w_hh");
  STD_TORCH_CHECK(!(both && reverse), "textnn: reverse is of one direction, got weights of both");
  for (size_t i = kWeights + 2; i < weights.size(); ++i)
    STD_TORCH_CHECK(both || !weights[i], "textnn: w_ih and w_hh of the reverse direction are missing");
  std::vector<Direction> directions;
  for (size_t d = 0; d < (both ? 2 : 1); ++d) {
    const OptionalTensor* w = &weights[d * kWeights];
    directions.push_back(
        {compact(*w[0]), compact(*w[1]), compact(w[2]), compact(w[3]), compact(w[4]), both ? d == 1 : reverse});
  }
  return directions;
}

}  // namespace

Recurrent::Recurrent(const std::string& name_, const Tensor& input, const OptionalTensor& table, const Tensor& h0_,
                     const OptionalTensor& c0_, const Weights& weights, const OptionalTensor& sizes_,
                     const std::string& layout_, bool reverse, const std::string& precision, const OnCudaDevices& cuda_)
    : name(name_),
      cell(name_),
      x(table ? compact(*table) : with_contiguous_vectors(input)),
      positions(table ? compact(input) : x),
      tokens(table.has_value()),
      h0(compact(h0_)),
      c0(compact(c0_)),
      directions(directions_of(weights, reverse)),
      sizes(sizes_),
      layout(layout_),
      bfloat16(precision != "ieee"),
      half_outputs(precision == "bf16_outputs" && x.scalar_type() == ScalarType::Float),
      cuda(cuda_) {
  STD_TORCH_CHECK(precision == "ieee" || precision == "bf16" || precision == "bf16_outputs",
                  "textnn: precision must be ieee, bf16 or bf16_outputs, got ", precision);
  STD_TORCH_CHECK(!half_outputs || !x.is_cuda(), "textnn: precision bf16_outputs is for CPU tensors");
  STD_TORCH_CHECK(!table || table->dim() == 2, "textnn: table must have shape [V, D], got ", shape_of(x));
  const RaggedLayout kind = parse_layout(layout);
  const int64_t wanted = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 1 : 2;
  STD_TORCH_CHECK(dims() == wanted, "textnn: ", tokens ? "ids" : "x", " must have ", wanted + (tokens ? 0 : 1),
                  " dimensions, got shape ", shape_of(input));
  STD_TORCH_CHECK(h0.dim() == 2 || h0.dim() == 3, "textnn: h0 must have 2 or 3 dimensions, got shape ", shape_of(h0));
  const int64_t state = h0.dim();
  D = int64_t(directions.size());
  STD_TORCH_CHECK(state == 3 ? h0.size(0) == D : D == 1, "textnn: h0 must have ", D, " directions, got shape ",
                  shape_of(h0));
  B = h0.size(state - 2);
  P = h0.size(state - 1);
  I = x.size(x.dim() - 1);
  STD_TORCH_CHECK(c0.has_value() == cell.cell, "textnn: c0 must ", cell.cell ? "" : "not ", "be given for ", name);
  STD_TORCH_CHECK(!c0 || c0->dim() == state, "textnn: c0 must have ", state, " dimensions as h0, got shape ",
                  c0 ? shape_of(*c0) : "");
  H = c0 ? c0->size(state - 1) : P;
  STD_TORCH_CHECK(H > 0 && P > 0, "textnn: states must have at least one column, got ", P, " and ", H);
  product("the rows of a weight", {cell.blocks, H}, kMostCounted);
  product("the columns of a state", {D, P}, kMostCounted);
  if (c0) check_shape("c0", *c0, state_shape(H));
  check_dtype("h0", h0, x);
  if (c0) check_dtype("c0", *c0, x);
  const int64_t rows = cell.blocks * H;
  for (const Direction& d : directions) {
    check_shape("w_ih", d.w_ih, {rows, I});
    check_shape("w_hh", d.w_hh, {rows, P});
    STD_TORCH_CHECK(d.w_hr.has_value() == projected(), "textnn: w_hr belongs to both directions");
    STD_TORCH_CHECK(!d.w_hr || cell.cell, "textnn: only an LSTM has a projection, got w_hr for ", name);
    if (d.w_hr)
      check_shape("w_hr", *d.w_hr, {P, H});
    else
      STD_TORCH_CHECK(P == H, "textnn: h0 must have ", H, " columns as c0, got ", P);
    for (const OptionalTensor* b : {&d.b_ih, &d.b_hh})
      if (*b) check_shape("bias", **b, {rows});
    for (const Tensor* t : {&d.w_ih, &d.w_hh}) check_dtype("every weight", *t, x);
    for (const OptionalTensor* t : {&d.b_ih, &d.b_hh, &d.w_hr})
      if (*t) check_dtype("every weight", **t, x);
  }
}

void Kept::check(const Recurrent& r) const {
  const int64_t rows = h_prev.dim() == 2 ? h_prev.size(0) : -1;
  STD_TORCH_CHECK(rows >= 0 && rows % r.D == 0 && rows <= r.D * r.rows(), "textnn: h_prev, which the forward pass ",
                  "makes with save=True, must have shape [", r.D, " * steps, ", r.P, "], got ", shape_of(h_prev));
  const auto want = shapes(r, rows);
  const Tensor* given[] = {&kept, &cells, &h_prev, &unprojected};
  const char* names[] = {"kept", "cells", "h_prev", "unprojected"};
  for (size_t i = 0; i < want.size(); ++i) {
    check_shape((std::string(names[i]) + ", which the forward pass makes with save=True,").c_str(), *given[i], want[i]);
    check_dtype(names[i], *given[i], r.x);
    STD_TORCH_CHECK(given[i]->is_contiguous(), "textnn: ", names[i], " must be contiguous");
    check_memory(*given[i]);
  }
}

OutputGradients::OutputGradients(const Recurrent& r, const OptionalTensor& dy_, const OptionalTensor& dh_n_,
                                 const OptionalTensor& dc_n_, const OptionalTensor& dc_)
    : dy(dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt),
      dh_n(compact(dh_n_)),
      dc_n(r.cell.cell ? compact(dc_n_) : std::nullopt),
      dc(dc_ ? OptionalTensor(with_contiguous_vectors(*dc_)) : std::nullopt) {
  if (dy) check_shape("dy", *dy, r.leading(r.D * r.P));
  if (dh_n) check_shape("dh_n", *dh_n, r.state_shape(r.P));
  STD_TORCH_CHECK(r.cell.cell || !dc_n_, "textnn: dc_n must not be given for ", r.name);
  if (dc_n) check_shape("dc_n", *dc_n, r.state_shape(r.H));
  STD_TORCH_CHECK(r.cell.cell || !dc, "textnn: dc must not be given for ", r.name);
  if (dc) check_shape("dc", *dc, r.leading(r.D * r.H));
  STD_TORCH_CHECK(!(dy && r.half_outputs) || dy->scalar_type() == ScalarType::BFloat16,
                  "textnn: dy must be in bfloat16 as the outputs are");
  if (dy && !r.half_outputs) check_dtype("every gradient", *dy, r.x);
  for (const OptionalTensor* t : {&dh_n, &dc_n, &dc})
    if (*t) check_dtype("every gradient", **t, r.x);
}

Tensors weight_gradients(const Recurrent& r) {
  Tensors gradients;
  for (const Direction& d : r.directions)
    for (const OptionalTensor& w : {OptionalTensor(d.w_ih), OptionalTensor(d.w_hh), d.b_ih, d.b_hh, d.w_hr})
      gradients.push_back(w ? torch::stable::empty_like(*w) : empty(r.x, {0}));
  return gradients;
}

}  // namespace textnn::ops
