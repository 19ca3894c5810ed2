// The arguments of textnn::recurrent_cell and of its backward operator, checked; the same on every device.
#pragma once
#include "recurrent.h"

namespace textnn::ops {

struct RecurrentCell {
  std::string name;
  CellShape cell;
  Tensor input_gates;
  OptionalTensor hidden_gates, h, c;
  bool reads_state, apart;  // whether a unit reads h; whether the two products add to different sums
  int64_t B, H;

  RecurrentCell(const std::string& name_, const Tensor& input_gates_, const OptionalTensor& hidden_gates_,
                const OptionalTensor& h_, const OptionalTensor& c_)
      : name(name_),
        cell(name_),
        input_gates(compact(input_gates_)),
        hidden_gates(compact(hidden_gates_)),
        h(compact(h_)),
        c(compact(c_)) {
    with_cell(name, [&](auto cell_) {
      using Cell = decltype(cell_);
      reads_state = Cell::kReadsState, apart = !(Cell::kInput == Cell::kState);
    });
    STD_TORCH_CHECK(input_gates.dim() == 2 && input_gates.size(1) % cell.blocks == 0,
                    "textnn: input_gates must have shape [B, ", cell.blocks, "H], got ", shape_of(input_gates));
    B = input_gates.size(0), H = input_gates.size(1) / cell.blocks;
    STD_TORCH_CHECK(!apart || hidden_gates, "textnn: hidden_gates must be given for ", name);
    STD_TORCH_CHECK(h.has_value() == reads_state, "textnn: h must ", reads_state ? "" : "not ", "be given for ", name);
    STD_TORCH_CHECK(c.has_value() == cell.cell, "textnn: c must ", cell.cell ? "" : "not ", "be given for ", name);
    if (hidden_gates) check_like("hidden_gates", *hidden_gates, cell.blocks * H);
    if (h) check_like("h", *h, H);
    if (c) check_like("c", *c, H);
  }

  // Results of the shape of a state or of a product; empty where there is none.
  Tensor state_if(bool wanted) const { return result_if(wanted, H); }
  Tensor gates_if(bool wanted) const { return result_if(wanted, cell.blocks * H); }
  void check_gradient(const char* name, const Tensor& t) const { check_like(name, t, H); }

 private:
  Tensor result_if(bool wanted, int64_t columns) const {
    return ops::empty(input_gates, wanted ? std::vector<int64_t>{B, columns} : std::vector<int64_t>{0});
  }
  void check_like(const char* name, const Tensor& t, int64_t columns) const {
    check_shape(name, t, {B, columns});
    check_dtype(name, t, input_gates);
  }
};

// Gradients of the two states; a missing one is zero.
struct CellGradients {
  OptionalTensor dh, dc;
  CellGradients(const RecurrentCell& r, const OptionalTensor& dh_, const OptionalTensor& dc_)
      : dh(compact(dh_)), dc(compact(dc_)) {
    STD_TORCH_CHECK(r.cell.cell || !dc, "textnn: dc_next must not be given for ", r.name);
    if (dh) r.check_gradient("dh_next", *dh);
    if (dc) r.check_gradient("dc_next", *dc);
  }
};

}  // namespace textnn::ops
