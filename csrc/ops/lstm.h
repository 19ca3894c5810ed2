// What the LSTM operators of both devices have in common: arguments, their checks, and shapes of results.
#pragma once
#include "ragged.h"

namespace textnn::ops {

// The weights of one direction, and where it runs from.
struct LstmDirection {
  Tensor w_ih, w_hh;
  OptionalTensor b_ih, b_hh, w_hr;
  bool reverse;

  LstmDirection(const Tensor& ih, const Tensor& hh, const OptionalTensor& bih, const OptionalTensor& bhh,
                const OptionalTensor& hr, bool reverse_)
      : w_ih(compact(ih)),
        w_hh(compact(hh)),
        b_ih(compact(bih)),
        b_hh(compact(bhh)),
        w_hr(compact(hr)),
        reverse(reverse_) {}
};
using LstmDirections = std::vector<LstmDirection>;

// The input: vectors, or with `tokens` the rows of a table that stand at each id.
struct LstmInput {
  Tensor x;          // [.., I], or [V, I]
  Tensor positions;  // x, or the ids [..]
  bool tokens;

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
};

struct LstmSizes {
  int64_t B, I, H, P;
};

// States have a leading dimension for the direction, but where there is one and vectors.
inline LstmSizes check_lstm(const LstmInput& input, const Tensor& h0, const Tensor& c0,
                            const LstmDirections& directions, const std::string& layout) {
  const Tensor& x = input.x;
  const RaggedLayout kind = parse_layout(layout);
  const int64_t dims = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 1 : 2;
  const int64_t state = directions.size() == 1 && !input.tokens ? 2 : 3;
  STD_TORCH_CHECK(input.dims() == dims, "textnn: ", input.tokens ? "ids" : "x", " must have ",
                  dims + (input.tokens ? 0 : 1), " dimensions, got shape ", shape_of(input.positions));
  STD_TORCH_CHECK(h0.dim() == state && c0.dim() == state, "textnn: h0 and c0 must have ", state,
                  " dimensions, got shapes ", shape_of(h0), " and ", shape_of(c0));
  const LstmSizes n{h0.size(state - 2), input.I(), c0.size(state - 1), h0.size(state - 1)};
  std::vector<int64_t> h_shape{n.B, n.P}, c_shape{n.B, n.H};
  if (state == 3) {
    h_shape.insert(h_shape.begin(), int64_t(directions.size()));
    c_shape.insert(c_shape.begin(), int64_t(directions.size()));
  }
  check_shape("h0", h0, h_shape);
  check_shape("c0", c0, c_shape);
  STD_TORCH_CHECK(n.H > 0 && n.P > 0, "textnn: h0 and c0 must have at least one column, got ", n.P, " and ", n.H);
  for (const Tensor* t : {&h0, &c0}) check_dtype("every tensor", *t, x);
  for (const LstmDirection& d : directions) {
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

// Units of what is kept for the backward pass: H rounded up to a whole cache line.
inline int64_t padded_units(const Tensor& like, int64_t H) {
  const int64_t unit = 64 / int64_t(like.element_size());
  return (H + unit - 1) / unit * unit;
}

// One direction, or two where the weights of the reverse one are given.
inline LstmDirections one_or_two(const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& b_ih,
                                 const OptionalTensor& b_hh, const OptionalTensor& w_hr,
                                 const OptionalTensor& w_ih_reverse, const OptionalTensor& w_hh_reverse,
                                 const OptionalTensor& b_ih_reverse, const OptionalTensor& b_hh_reverse,
                                 const OptionalTensor& w_hr_reverse) {
  LstmDirections d{{w_ih, w_hh, b_ih, b_hh, w_hr, false}};
  STD_TORCH_CHECK(w_ih_reverse.has_value() == w_hh_reverse.has_value(), "textnn: reverse weights belong together");
  if (w_ih_reverse) d.push_back({*w_ih_reverse, *w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse, true});
  return d;
}

inline void check_table_shape(const Tensor& table) {
  STD_TORCH_CHECK(table.dim() == 2, "textnn: table must have shape [V, D], got ", shape_of(table));
}

// y, h_n, c_n, gates, cells, h_prev, unprojected.
using LstmForwardResult = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// What the forward pass has kept, of all directions one behind the other.
struct LstmKept {
  Tensor gates, cells, h_prev, unprojected;
};

struct LstmGradients {
  struct Weights {
    Tensor ih, hh, b, hr;
  };
  Tensor dx;        // of the input; of the table where there are tokens
  Tensor distinct;  // rows of a sparse gradient of the table
  Tensor dh0, dc0;
  std::vector<Weights> dw;
};

// How the gradient of a table is made.
struct TableOptions {
  int64_t padding = -1;
  bool sparse = false;
};

// p + n, and null for null.
template <class T>
T* at(T* p, int64_t n) {
  return p ? p + n : p;
}

}  // namespace textnn::ops
