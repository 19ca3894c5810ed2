// What the recurrent operators of both devices have in common: their arguments, checked, and shapes of results.
#pragma once
#include "../math/cells.h"
#include "ragged.h"

namespace textnn::ops {

// f(Cell{}) with the cell of this name.
template <class F>
auto with_cell(const std::string& name, F&& f) {
  std::string known;
#define TEXTNN_CASE(Cell)                                \
  if (name == math::Cell::kName) return f(math::Cell{}); \
  known += std::string(known.empty() ? "" : ", ") + math::Cell::kName;
  TEXTNN_FOR_EACH_CELL(TEXTNN_CASE)
#undef TEXTNN_CASE
  STD_TORCH_CHECK(false, "textnn: cell must be one of ", known, ", got ", name);
  return f(math::Lstm{});
}

// Run-time description of a cell (math/cell.h).
struct CellShape {
  int64_t blocks;  // of H rows in a weight
  int64_t sums, kept;
  bool cell;

  explicit CellShape(const std::string& name) {
    with_cell(name, [&](auto cell_) {
      using Cell = decltype(cell_);
      static_assert(Cell::kInput.size == Cell::kState.size, "both weights of torch's cells have as many rows");
      blocks = Cell::kInput.size, sums = Cell::kSums, kept = Cell::kKept, cell = Cell::kCell;
    });
  }
};

// The weights of one direction, and where it runs from.
struct Direction {
  Tensor w_ih, w_hh;
  OptionalTensor b_ih, b_hh, w_hr;
  bool reverse;
};

// w_ih, w_hh, b_ih, b_hh, w_hr of one direction, then of the reverse one.
constexpr size_t kWeights = 5;
using Weights = std::vector<OptionalTensor>;

// How CUDA kernels are to run the recurrence: in what costs less by estimate (cuda/recurrent_choice.h), or in this
// form.
enum class RecurrentForm { kAuto, kSteps, kPersistent };

// What only CUDA kernels ask. An argument of each call, since a graph keeps what held when it was traced.
struct OnCudaDevices {
  bool tf32;  // whether products of float32 may be made in TF32
  RecurrentForm form;

  OnCudaDevices(bool tf32_, int64_t form_) : tf32(tf32_), form(RecurrentForm(int(form_))) {
    STD_TORCH_CHECK(form_ >= 0 && form_ <= 2, "textnn: form must be 0, 1 or 2, got ", form_);
  }
};

// The arguments that forward and backward operator have in common.
//
// The input is vectors [.., I], or with a table ids [..]. States have a leading dimension for the direction, unless
// they are those of one direction without it.
struct Recurrent {
  std::string name;
  CellShape cell;
  Tensor x;          // vectors [.., I], or the table [V, I]
  Tensor positions;  // x, or the ids [..]
  bool tokens;
  Tensor h0;
  OptionalTensor c0;
  std::vector<Direction> directions;
  OptionalTensor sizes;
  std::string layout;
  // Of float32 tensors on the CPU: whether products multiply bfloat16, and whether the outputs are in it, too.
  bool bfloat16, half_outputs;
  OnCudaDevices cuda;
  int64_t D, B, I, H, P;

  Recurrent(const std::string& name_, const Tensor& input, const OptionalTensor& table, const Tensor& h0_,
            const OptionalTensor& c0_, const Weights& weights, const OptionalTensor& sizes_, const std::string& layout_,
            bool reverse, const std::string& precision, const OnCudaDevices& cuda_);

  bool projected() const { return directions[0].w_hr.has_value(); }
  // The dimensions of the positions, and one more.
  std::vector<int64_t> leading(int64_t last) const {
    std::vector<int64_t> size;
    for (int64_t i = 0; i < dims(); ++i) size.push_back(positions.size(i));
    size.push_back(last);
    return size;
  }
  int64_t dims() const { return tokens ? positions.dim() : x.dim() - 1; }
  int64_t rows() const {
    int64_t n = 1;
    for (int64_t i = 0; i < dims(); ++i) n *= positions.size(i);
    return n;
  }
  // Units of what is kept for the backward pass: H rounded up to a whole cache line.
  int64_t padded_units() const {
    const int64_t unit = 64 / int64_t(x.element_size());
    return (H + unit - 1) / unit * unit;
  }
  // Shape of a state with so many columns.
  std::vector<int64_t> state_shape(int64_t columns) const {
    return h0.dim() == 3 ? std::vector<int64_t>{D, B, columns} : std::vector<int64_t>{B, columns};
  }
};

// What the forward pass has kept, of all directions one behind the other, in the kernels' own order (cpu/recurrent.h).
// Each direction has a row for each step of each sequence: what is kept follows the tokens, not the padding. A size
// that depends on the values of lengths is one that few compilers take: torch.compile breaks its graph there unless it
// may not (fullgraph) or is told otherwise, and older releases refuse. So the caller says whether the number of rows is
// `exact`: in eager mode it is, at no cost, since the operator counts the steps in any case. A graph that is being
// traced gets a row for each position, a number that it knows (textnn/_registration/recurrent.py); so does a batch
// whose sizes are on a CUDA device, which nobody waits for. Rows behind the last step are not touched.
struct Kept {
  Tensor kept, cells, h_prev, unprojected;

  // Shapes for so many rows; 0 where nothing is kept.
  static std::vector<std::vector<int64_t>> shapes(const Recurrent& r, int64_t rows) {
    return {{rows, r.cell.kept * r.padded_units()},
            {r.cell.cell ? rows : 0, r.padded_units()},
            {rows, r.P},
            {r.projected() ? rows : 0, r.H}};
  }
  // Of a backward operator's arguments.
  void check(const Recurrent& r) const;
  // Rows of each direction, which must be those of so many steps at least.
  int64_t rows(const Recurrent& r, int64_t steps) const {
    const int64_t each = h_prev.size(0) / r.D;
    STD_TORCH_CHECK(each >= steps, "textnn: what the forward pass has kept must have ", r.D * steps,
                    " rows for these sizes, got ", h_prev.size(0));
    return each;
  }
};

// Gradients of the output, of the final states, of the cell states of all steps; checked.
struct OutputGradients {
  OptionalTensor dy, dh_n, dc_n, dc;
  OutputGradients(const Recurrent& r, const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n,
                  const OptionalTensor& dc);
};

// What the forward pass is to return: outputs, the cell states of all steps, what the backward pass needs (Kept).
struct Wanted {
  bool outputs, cells, save, exact;
};

// How the gradient of a table is made.
struct TableOptions {
  int64_t padding = -1;
  bool sparse = false;
};

// y, h_n, c_n, the cell states of all steps, and what is kept.
using ForwardResult = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;
// Of the input or the table, rows of a sparse gradient of the table, of h0, of c0, of the weights of all directions.
using BackwardResult = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensors>;

// A gradient for each of the weights of all directions; empty where there is no weight.
Tensors weight_gradients(const Recurrent& r);

// p + n, and null for null.
template <class T>
T* at(T* p, int64_t n) {
  return p ? p + n : p;
}

// The operators as the schemas have them (library.cpp), for a device's forward and backward:
//
//   static ForwardResult forward(const Recurrent&, Wanted);
//   static BackwardResult backward(const Recurrent&, const OutputGradients&, const Kept&, need_dx, TableOptions);
//
// The weights are arguments of their own: torch's autograd takes 100 microseconds for a list.
template <class OnDevice>
struct RecurrentOperators {
  using Optional = const OptionalTensor&;

  static ForwardResult forward(std::string cell, const Tensor& input, Optional table, const Tensor& h0, Optional c0,
                               const Tensor& w_ih, const Tensor& w_hh, Optional b_ih, Optional b_hh, Optional w_hr,
                               Optional w_ih_reverse, Optional w_hh_reverse, Optional b_ih_reverse,
                               Optional b_hh_reverse, Optional w_hr_reverse, Optional sizes, std::string layout,
                               bool reverse, std::string precision, int64_t padding_idx, bool /*sparse*/, bool outputs,
                               bool cells, bool save, bool exact, bool tf32, int64_t form) {
    const Weights weights{w_ih,         w_hh,         b_ih,         b_hh,         w_hr,
                          w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse};
    const Recurrent r(cell, input, table, h0, c0, weights, sizes, layout, reverse, precision, {tf32, form});
    if (table) check_padding_idx(padding_idx, table->size(0));
    STD_TORCH_CHECK(!cells || r.cell.cell, "textnn: cells must be False for ", cell, ", which has no cell state");
    return OnDevice::forward(r, {outputs, cells, save, exact});
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                    Tensor, Tensor>
  backward(std::string cell, Optional dy, Optional dh_n, Optional dc_n, Optional dc, const Tensor& input,
           Optional table, const Tensor& h0, Optional c0, const Tensor& w_ih, const Tensor& w_hh, Optional b_ih,
           Optional b_hh, Optional w_hr, Optional w_ih_reverse, Optional w_hh_reverse, Optional b_ih_reverse,
           Optional b_hh_reverse, Optional w_hr_reverse, Optional sizes, std::string layout, bool reverse,
           std::string precision, const Tensor& kept, const Tensor& cells, const Tensor& h_prev,
           const Tensor& unprojected, int64_t padding_idx, bool sparse, bool need_dx, bool tf32, int64_t form) {
    const Weights weights{w_ih,         w_hh,         b_ih,         b_hh,         w_hr,
                          w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse};
    const Recurrent r(cell, input, table, h0, c0, weights, sizes, layout, reverse, precision, {tf32, form});
    if (table) check_padding_idx(padding_idx, table->size(0));
    const Kept all{kept, cells, h_prev, unprojected};
    all.check(r);
    auto [dx, distinct, dh0, dc0, dw] =
        OnDevice::backward(r, {r, dy, dh_n, dc_n, dc}, all, need_dx, {padding_idx, sparse});
    while (dw.size() < 2 * kWeights) dw.push_back(empty(r.x, {0}));
    return {dx, distinct, dh0, dc0, dw[0], dw[1], dw[2], dw[3], dw[4], dw[5], dw[6], dw[7], dw[8], dw[9]};
  }
};

}  // namespace textnn::ops
