// textnn::recurrent_step, one step of all layers of a recurrent stack.
#include "../cpu/recurrent_step.h"
#include "recurrent.h"

namespace textnn::ops {
namespace {

struct StepCall {
  CellShape cell;
  Tensor x, h;  // x: vectors [B, I], or the table [V, I]
  OptionalTensor ids, c;
  Tensors weights;
  size_t each;  // weights of a layer: w_ih, w_hh, then b_ih and b_hh, then w_hr
  int64_t L, B, I, H, P;

  StepCall(const std::string& name, const Tensor& input, const OptionalTensor& table, const Tensor& h_,
           const OptionalTensor& c_, const Tensors& given)
      : cell(name),
        x(compact(table ? *table : input)),
        h(compact(h_)),
        ids(table ? OptionalTensor(compact(input)) : std::nullopt),
        c(compact(c_)) {
    STD_TORCH_CHECK(x.dim() == 2, "textnn: ", ids ? "table" : "x", " must have 2 dimensions, got shape ", shape_of(x));
    STD_TORCH_CHECK(h.dim() == 3 && h.size(0) > 0 && h.size(2) > 0, "textnn: h must have shape [layers, B, P], got ",
                    shape_of(h));
    L = h.size(0), B = h.size(1), P = h.size(2), I = x.size(1);
    if (ids) {
      check_shape("ids", *ids, {B});
      check_dtype("ids", *ids, ScalarType::Long);
    } else {
      check_shape("x", x, {B, I});
    }
    STD_TORCH_CHECK(c.has_value() == cell.cell, "textnn: c must ", cell.cell ? "" : "not ", "be given for ", name);
    if (c) check_shape("c", *c, {L, B, -1});
    H = c ? c->size(2) : P;
    STD_TORCH_CHECK(H > 0, "textnn: c must have at least one column, got shape ", c ? shape_of(*c) : "");
    const int64_t rows = product("the rows of a weight", {cell.blocks, H}, kMostCounted);
    STD_TORCH_CHECK(given.size() % size_t(L) == 0, "textnn: weights must be as many for each of ", L, " layers, got ",
                    given.size());
    each = given.size() / size_t(L);
    STD_TORCH_CHECK(each >= 2 && each <= 5, "textnn: a layer must have 2 to 5 weights, got ", each);
    STD_TORCH_CHECK(projected() ? cell.cell : P == H, "textnn: h must have ", H, " columns, got ", P);
    for (const Tensor& w : given) weights.push_back(compact(w));
    for (size_t l = 0; l < size_t(L); ++l) {
      const Tensor* w = &weights[l * each];
      check_shape("w_ih", w[0], {rows, l ? P : I});
      check_shape("w_hh", w[1], {rows, P});
      for (size_t i = 2; biased() && i < 4; ++i) check_shape("bias", w[i], {rows});
      if (projected()) check_shape("w_hr", w[each - 1], {P, H});
    }
    check_dtype("h", h, x);
    if (c) check_dtype("c", *c, x);
    for (const Tensor& w : weights) check_dtype("every weight", w, x);
  }

  bool biased() const { return each >= 4; }
  bool projected() const { return each % 2 == 1; }

  template <class T>
  std::vector<const T*> inputs() const {
    std::vector<const T*> rows;
    const T* p = x.numel() ? x.const_data_ptr<T>() : nullptr;
    const int64_t* id = pointer<int64_t>(ids);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t row = id ? id[b] : b;
      STD_TORCH_CHECK(!id || (row >= 0 && row < x.size(0)), "textnn: ids must lie in [0, ", x.size(0), "), got ", row,
                      " at position ", b);
      rows.push_back(p + row * I);
    }
    return rows;
  }
  template <class T>
  std::vector<cpu::StepLayer<T>> layers() const {
    std::vector<cpu::StepLayer<T>> all;
    for (size_t l = 0; l < size_t(L); ++l) {
      const Tensor* w = &weights[l * each];
      const auto at = [&](bool there, size_t i) { return there ? w[i].const_data_ptr<T>() : nullptr; };
      all.push_back({l ? P : I, at(true, 0), at(true, 1), at(biased(), 2), at(biased(), 3), at(projected(), each - 1)});
    }
    return all;
  }
};

std::tuple<Tensor, Tensor, Tensor> recurrent_step(std::string name, const Tensor& input, const OptionalTensor& table,
                                                  const Tensor& h, const OptionalTensor& c, const Tensors& weights) {
  const StepCall s(name, input, table, h, c, weights);
  Tensor y = empty(s.x, {s.B, s.P}), h_next = empty(s.x, {s.L, s.B, s.P});
  Tensor c_next = empty(s.x, s.c ? std::vector<int64_t>{s.L, s.B, s.H} : std::vector<int64_t>{0});
  dispatch(s.x, [&](auto zero) {
    using T = decltype(zero);
    const auto rows = s.inputs<T>();
    const auto layers = s.layers<T>();
    with_cell(name, [&](auto cell) {
      cpu::recurrent_step<decltype(cell), T>(
          torch_threads(), {s.L, s.B, s.H, s.P, layers.data(), rows.data(), s.h.const_data_ptr<T>(), pointer<T>(s.c),
                            writable<T>(y), writable<T>(h_next), writable<T>(c_next)});
    });
  });
  return {y, h_next, c_next};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) { m.impl("recurrent_step", TORCH_BOX(&textnn::ops::recurrent_step)); }
