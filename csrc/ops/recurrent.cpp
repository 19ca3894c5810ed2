// textnn::recurrent, one layer of any cell over a ragged batch, in one direction or both, from vectors or from token
// ids; and its backward operator.
#include "recurrent.h"
#include <algorithm>
#include <numeric>
#include "../cpu/capability.h"
#include "../cpu/embedding.h"
#include "../cpu/recurrent.h"
#include "distinct.h"

namespace textnn::ops {
namespace {

cpu::Tokens cpu_tokens(const std::optional<Distinct>& d) {
  return d ? cpu::Tokens{d->U, d->id.data(), d->token.data()} : cpu::Tokens{};
}

std::optional<Distinct> distinct_of(const Recurrent& r) {
  return r.tokens ? std::make_optional<Distinct>(r.positions, r.x.size(0)) : std::nullopt;
}

// What arguments of the forward and of the backward kernel have in common.
template <class T, class Arguments>
Arguments direction_arguments(const Recurrent& r, int64_t d, const Ragged& ragged, const Ragged::Offsets& x_offsets,
                              const std::optional<Distinct>& distinct) {
  const Direction& w = r.directions[size_t(d)];
  Arguments a{};
  a.schedule = ragged.schedule(w.reverse);
  a.I = r.I;
  a.H = r.H;
  a.P = r.P;
  a.x = r.x.const_data_ptr<T>();
  a.x_layout = x_offsets.layout();
  a.tokens = cpu_tokens(distinct);
  a.c0 = at(pointer<T>(r.c0), d * r.B * r.H);
  a.w_ih = w.w_ih.const_data_ptr<T>();
  a.w_hh = w.w_hh.const_data_ptr<T>();
  a.w_hr = pointer<T>(w.w_hr);
  a.bfloat16 = r.bfloat16 && std::is_same_v<T, float>;
  return a;
}

// Zeros in the last block of units (cpu/schedule.h) where H does not fill it: vectors of less than a cache line leave
// some of it as it was, and a graph that is compared with another finds what they keep to differ.
template <class T>
void clear_last_block(T* kept, int64_t rows, int64_t padded) {
  constexpr int64_t kUnits = 64 / sizeof(T);
  std::fill_n(kept + (padded / kUnits - 1) * rows * kUnits, rows * kUnits, T(0));
}

struct OnCpu {
  static ForwardResult forward(const Recurrent& r, const Wanted& wanted) {
    const Ragged ragged(r.positions, r.sizes, r.layout, r.B);
    const std::optional<Distinct> distinct = distinct_of(r);
    const int64_t N = ragged.steps(), padded = r.padded_units();
    const auto of_steps = [&](bool is_wanted, int64_t columns, const Tensor& like) {
      Tensor t = is_wanted ? pooled(like, r.leading(r.D * columns)) : empty(like, {0});
      if (is_wanted && ragged.has_padding()) torch::stable::zero_(t);
      return t;
    };
    const Tensor half = r.half_outputs ? torch::stable::new_empty(r.x, {0}, ScalarType::BFloat16) : r.x;
    Tensor y = of_steps(wanted.outputs, r.P, half), c = of_steps(wanted.cells, r.H, r.x);
    Tensor h_n = torch::stable::empty_like(r.h0);
    Tensor c_n = r.c0 ? torch::stable::empty_like(*r.c0) : empty(r.x, {0});
    const auto shapes = Kept::shapes(r, wanted.save ? r.D * (wanted.exact ? N : r.rows()) : 0);
    Tensors kept;
    for (const auto& shape : shapes) kept.push_back(pooled(r.x, shape, r.D * N));
    const auto x_offsets = ragged.offsets(r.positions);
    const auto y_offsets = wanted.outputs ? ragged.offsets(y) : Ragged::Offsets{};
    const auto c_offsets = wanted.cells ? ragged.offsets(c) : Ragged::Offsets{};
    dispatch(r.x, [&](auto zero) {
      using T = decltype(zero);
      std::vector<cpu::RecurrentForward<T>> args;
      for (int64_t d = 0; d < r.D; ++d) {
        auto a = direction_arguments<T, cpu::RecurrentForward<T>>(r, d, ragged, x_offsets, distinct);
        a.b_ih = pointer<T>(r.directions[size_t(d)].b_ih);
        a.b_hh = pointer<T>(r.directions[size_t(d)].b_hh);
        a.h0 = r.h0.const_data_ptr<T>() + d * r.B * r.P;
        if (r.half_outputs)
          a.y_half = at(y.numel() ? static_cast<uint16_t*>(y.mutable_data_ptr()) : nullptr, d * r.P);
        else
          a.y = at(writable<T>(y), d * r.P);
        a.y_layout = y_offsets.layout();
        a.c = at(writable<T>(c), d * r.H);
        a.c_layout = c_offsets.layout();
        a.h_n = at(writable<T>(h_n), d * r.B * r.P);
        a.c_n = at(writable<T>(c_n), d * r.B * r.H);
        a.kept = at(writable<T>(kept[0]), d * N * r.cell.kept * padded);
        a.cells = at(writable<T>(kept[1]), d * N * padded);
        a.h_prev = at(writable<T>(kept[2]), d * N * r.P);
        a.unprojected = at(writable<T>(kept[3]), d * N * r.H);
        if (wanted.save && padded != r.H && cpu::capability() < cpu::Capability::kAvx512) {
          clear_last_block(a.kept, N * r.cell.kept, padded);
          if (r.cell.cell) clear_last_block(a.cells, N, padded);
        }
        args.push_back(a);
      }
      with_cell(r.name, [&](auto cell) {
        using Cell = decltype(cell);
        if (r.D == 1)
          cpu::recurrent_forward<Cell>(torch_threads(), args[0]);
        else
          cpu::bidirectional_forward<Cell>(torch_threads(), args[0], args[1]);
      });
    });
    return {y, h_n, c_n, c, kept[0], kept[1], kept[2], kept[3]};
  }

  static BackwardResult backward(const Recurrent& r, const OutputGradients& given, const Kept& kept, bool need_dx,
                                 const TableOptions& table) {
    const Ragged ragged(r.positions, r.sizes, r.layout, r.B);
    const std::optional<Distinct> distinct = distinct_of(r);
    const int64_t N = ragged.steps(), padded = r.padded_units(), rows = r.cell.blocks * r.H;
    kept.rows(r, N);
    const bool in_place = need_dx && !r.tokens;
    const std::vector<int64_t> dx_shape = r.tokens ? std::vector<int64_t>{distinct->U, r.I} : r.leading(r.I);
    Tensor dx = pooled(r.x, need_dx ? dx_shape : std::vector<int64_t>{0});
    if (in_place && ragged.has_padding()) torch::stable::zero_(dx);
    Tensor dh0 = torch::stable::empty_like(r.h0);
    Tensor dc0 = r.c0 ? torch::stable::empty_like(*r.c0) : empty(r.x, {0});
    Tensors dw = weight_gradients(r);
    const auto x_offsets = ragged.offsets(r.positions);
    const auto dy_offsets = given.dy ? ragged.offsets(*given.dy) : Ragged::Offsets{};
    const auto dc_offsets = given.dc ? ragged.offsets(*given.dc) : Ragged::Offsets{};
    const auto dx_offsets = in_place ? ragged.offsets(dx) : Ragged::Offsets{};
    dispatch(r.x, [&](auto zero) {
      using T = decltype(zero);
      std::vector<cpu::RecurrentBackward<T>> args;
      std::vector<T> bias(size_t(2 * r.D * rows));  // the kernels make the gradients of biases that are not there, too
      for (int64_t d = 0; d < r.D; ++d) {
        auto a = direction_arguments<T, cpu::RecurrentBackward<T>>(r, d, ragged, x_offsets, distinct);
        const auto gradient = [&](size_t i) { return writable<T>(dw[size_t(d) * kWeights + i]); };
        if (given.dy && r.half_outputs)
          a.dy_half = at(static_cast<const uint16_t*>(given.dy->const_data_ptr()), d * r.P);
        else
          a.dy = at(pointer<T>(given.dy), d * r.P);
        a.dy_layout = dy_offsets.layout();
        a.dc = at(pointer<T>(given.dc), d * r.H);
        a.dc_layout = dc_offsets.layout();
        a.dh_n = at(pointer<T>(given.dh_n), d * r.B * r.P);
        a.dc_n = at(pointer<T>(given.dc_n), d * r.B * r.H);
        a.kept = kept.kept.template const_data_ptr<T>() + d * N * r.cell.kept * padded;
        a.cells = kept.cells.template const_data_ptr<T>() + d * N * padded;
        a.h_prev = kept.h_prev.template const_data_ptr<T>() + d * N * r.P;
        a.unprojected = kept.unprojected.template const_data_ptr<T>() + d * N * r.H;
        a.dx = writable<T>(dx);
        a.dx_layout = dx_offsets.layout();
        a.dh0 = at(writable<T>(dh0), d * r.B * r.P);
        a.dc0 = at(writable<T>(dc0), d * r.B * r.H);
        a.dw_ih = gradient(0);
        a.dw_hh = gradient(1);
        a.db_ih = bias.data() + 2 * d * rows;
        a.db_hh = bias.data() + (2 * d + 1) * rows;
        a.dw_hr = gradient(4);
        args.push_back(a);
      }
      with_cell(r.name, [&](auto cell) {
        using Cell = decltype(cell);
        if (r.D == 1)
          cpu::recurrent_backward<Cell>(torch_threads(), args[0]);
        else
          cpu::bidirectional_backward<Cell>(torch_threads(), args[0], args[1]);
        constexpr bool same = Cell::kInput == Cell::kState;
        for (int64_t d = 0; d < r.D; ++d)
          for (const size_t i : {2, 3}) {
            const T* from = i == 2 || same ? args[size_t(d)].db_ih : args[size_t(d)].db_hh;
            Tensor& to = dw[size_t(d) * kWeights + i];
            if (to.numel()) std::copy_n(from, rows, writable<T>(to));
          }
      });
    });
    Tensor rows_of_table = empty(r.x, {0});
    if (distinct) {
      rows_of_table = torch::stable::new_empty(r.positions, {table.sparse ? distinct->U : 0});
      dx = table_gradient(*distinct, r, need_dx, table, dx, rows_of_table);
    }
    return {dx, rows_of_table, dh0, dc0, dw};
  }

 private:
  // The gradient of the table from that of its rows that occur.
  static Tensor table_gradient(const Distinct& distinct, const Recurrent& r, bool need, const TableOptions& options,
                               const Tensor& of_rows, Tensor& rows) {
    const int64_t V = r.x.size(0), D = r.x.size(1);
    if (options.sparse) std::copy_n(distinct.id.data(), distinct.U, writable<int64_t>(rows));
    Tensor dtable = need ? pooled(r.x, {options.sparse ? distinct.U : V, D}) : empty(r.x, {0, D});
    if (!need) return dtable;
    std::vector<int32_t> token(static_cast<size_t>(distinct.U));
    std::iota(token.begin(), token.end(), 0);
    dispatch(r.x, [&](auto zero) {
      using T = decltype(zero);
      const T* dx = distinct.U ? of_rows.template const_data_ptr<T>() : nullptr;
      cpu::embedding_backward<T>(torch_threads(),
                                 {distinct.U, D, distinct.U, distinct.id.data(), token.data(), dx, dtable.size(0),
                                  !options.sparse, options.padding, writable<T>(dtable)});
    });
    return dtable;
  }
};

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("recurrent", TORCH_BOX(&textnn::ops::RecurrentOperators<textnn::ops::OnCpu>::forward));
  m.impl("recurrent_backward", TORCH_BOX(&textnn::ops::RecurrentOperators<textnn::ops::OnCpu>::backward));
}
