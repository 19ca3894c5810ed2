// textnn::lstm, one layer and direction over a ragged batch; textnn::bilstm, both directions; textnn::embedding_lstm,
// either of them from token ids; and their backward operators.
#include <numeric>
#include "../cpu/embedding.h"
#include "../cpu/lstm.h"
#include "distinct.h"
#include "lstm_operators.h"

namespace textnn::ops {
namespace {

using Direction = LstmDirection;
using Directions = LstmDirections;
using Sizes = LstmSizes;

cpu::Tokens cpu_tokens(const std::optional<Distinct>& d) {
  return d ? cpu::Tokens{d->U, d->id.data(), d->token.data()} : cpu::Tokens{};
}

// What is kept for the backward pass, of all directions one behind the other, in the kernels' own order (cpu/lstm.h),
// with H rounded up to a whole cache line. It has as many rows as the input for each direction, since the sum of the
// lengths is not known to a compiler; those behind it are not touched and cost nothing.
struct Kept {
  Tensor gates, cells, h_prev, unprojected;

  Kept(const Tensor& x, const Sizes& n, int64_t rows, int64_t used, bool projected)
      : gates(pooled(x, {rows, 4 * padded_units(x, n.H)}, used)),
        cells(pooled(x, {rows, padded_units(x, n.H)}, used)),
        h_prev(pooled(x, {rows, n.P}, used)),
        unprojected(pooled(x, {projected ? rows : 0, n.H}, used)) {}
};

struct OnCpu {
  static LstmForwardResult forward(const LstmInput& input, const Tensor& h0_, const Tensor& c0_,
                                   const Directions& directions, const OptionalTensor& sizes, const std::string& layout,
                                   bool outputs, bool save) {
    const Sizes n = check_lstm(input, h0_, c0_, directions, layout);
    const Tensor &x = input.x, h0 = compact(h0_), c0 = compact(c0_);
    const Ragged ragged(input.positions, sizes, layout, n.B);
    const std::optional<Distinct> distinct = distinct_of(input);
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
        const int64_t H = padded_units(x, n.H);
        cpu::LstmForward<T> a{};
        a.schedule = ragged.schedule(w.reverse);
        a.I = n.I;
        a.H = n.H;
        a.P = n.P;
        a.x = x.const_data_ptr<T>();
        a.x_layout = x_offsets.layout();
        a.tokens = cpu_tokens(distinct);
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

  static LstmGradients backward(const OptionalTensor& dy_, const OptionalTensor& dh_n_, const OptionalTensor& dc_n_,
                                const LstmInput& input, const Tensor& c0_, const Directions& directions,
                                const OptionalTensor& sizes, const std::string& layout, const LstmKept& kept,
                                bool need_dx, const TableOptions& table) {
    const Tensor &x = input.x, c0 = compact(c0_);
    const OptionalTensor dy = dy_ ? OptionalTensor(with_contiguous_vectors(*dy_)) : std::nullopt;
    const OptionalTensor dh_n = compact(dh_n_), dc_n = compact(dc_n_);
    const int64_t D = int64_t(directions.size()), I = input.I(), P = directions[0].w_hh.size(1);
    const int64_t B = c0.size(c0.dim() - 2), H = c0.size(c0.dim() - 1);
    const Ragged ragged(input.positions, sizes, layout, B);
    const std::optional<Distinct> distinct = distinct_of(input);
    const int64_t N = ragged.steps();
    STD_TORCH_CHECK(kept.gates.size(0) == D * input.rows(),
                    "textnn: the backward pass needs what was kept with save=True");

    std::vector<int64_t> h_shape{B, P};
    if (c0.dim() == 3) h_shape.insert(h_shape.begin(), D);
    const bool padded_dx = need_dx && !input.tokens;
    const std::vector<int64_t> dx_shape = input.tokens ? std::vector<int64_t>{distinct->U, I} : input.leading(I);
    LstmGradients out{pooled(x, need_dx ? dx_shape : std::vector<int64_t>{0}),
                      empty(x, {0}),
                      empty(x, h_shape),
                      torch::stable::empty_like(c0),
                      {}};
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
        const int64_t padded = padded_units(x, H);
        cpu::LstmBackward<T> a{};
        a.schedule = ragged.schedule(w.reverse);
        a.I = I;
        a.H = H;
        a.P = P;
        a.x = x.const_data_ptr<T>();
        a.x_layout = x_offsets.layout();
        a.tokens = cpu_tokens(distinct);
        a.dy = at(pointer<T>(dy), d * P);
        a.dy_layout = dy_offsets.layout();
        a.dh_n = at(pointer<T>(dh_n), d * B * P);
        a.dc_n = at(pointer<T>(dc_n), d * B * H);
        a.c0 = c0.const_data_ptr<T>() + d * B * H;
        a.w_ih = w.w_ih.const_data_ptr<T>();
        a.w_hh = w.w_hh.const_data_ptr<T>();
        a.w_hr = pointer<T>(w.w_hr);
        a.gates = kept.gates.const_data_ptr<T>() + d * N * 4 * padded;
        a.cells = kept.cells.const_data_ptr<T>() + d * N * padded;
        a.h_prev = kept.h_prev.const_data_ptr<T>() + d * N * P;
        a.unprojected = kept.unprojected.const_data_ptr<T>() + d * N * H;
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
    if (distinct) to_table(*distinct, input, need_dx, table, out);
    return out;
  }

 private:
  static std::optional<Distinct> distinct_of(const LstmInput& input) {
    return input.tokens ? std::make_optional<Distinct>(input.positions, input.x.size(0)) : std::nullopt;
  }

  // The gradient of the table from that of its rows that occur.
  static void to_table(const Distinct& distinct, const LstmInput& input, bool need, const TableOptions& options,
                       LstmGradients& out) {
    const int64_t V = input.x.size(0), D = input.x.size(1);
    out.distinct = torch::stable::new_empty(input.positions, {options.sparse ? distinct.U : 0});
    if (options.sparse) std::copy_n(distinct.id.data(), distinct.U, writable<int64_t>(out.distinct));
    Tensor dtable = need ? pooled(input.x, {options.sparse ? distinct.U : V, D}) : empty(input.x, {0, D});
    if (need) {
      std::vector<int32_t> token(static_cast<size_t>(distinct.U));
      std::iota(token.begin(), token.end(), 0);
      dispatch(input.x, [&](auto zero) {
        using T = decltype(zero);
        const T* dx = distinct.U ? out.dx.template const_data_ptr<T>() : nullptr;
        cpu::embedding_backward<T>(torch_threads(),
                                   {distinct.U, D, distinct.U, distinct.id.data(), token.data(), dx, dtable.size(0),
                                    !options.sparse, options.padding, writable<T>(dtable)});
      });
    }
    out.dx = dtable;
  }
};

using Lstm = LstmOperators<OnCpu>;

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("lstm", TORCH_BOX(&textnn::ops::Lstm::lstm));
  m.impl("lstm_backward", TORCH_BOX(&textnn::ops::Lstm::lstm_backward));
  m.impl("bilstm", TORCH_BOX(&textnn::ops::Lstm::bilstm));
  m.impl("bilstm_backward", TORCH_BOX(&textnn::ops::Lstm::bilstm_backward));
  m.impl("embedding_lstm", TORCH_BOX(&textnn::ops::Lstm::embedding_lstm));
  m.impl("embedding_lstm_backward", TORCH_BOX(&textnn::ops::Lstm::embedding_lstm_backward));
}
