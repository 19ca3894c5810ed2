// csrc/cpu/recurrent.h and recurrent_cell.h, called with arguments by the names that they have there.
#include "../../csrc/cpu/recurrent.h"
#include "../../csrc/cpu/recurrent_cell.h"
#include "../../csrc/math/cells.h"
#include "arrays.h"
#include "schedules.h"

namespace textnn::native {
namespace {

cpu::Tokens tokens(const Arguments& a) {
  if (!a.has("token")) return {};
  return {a.count("distinct"), a.array<const int64_t>("distinct"), a.array<const int32_t>("token")};
}

// What the arguments of both passes have in common.
template <class Cell, class T, class Args>
Args common(const Arguments& a) {
  Args args{};
  args.schedule = schedule(a);
  const int64_t I = a.size("I"), H = a.size("H"), P = a.size("P"), rows = Cell::kInput.size * H;
  args.I = I, args.H = H, args.P = P;
  args.x = a.array<const T>("x");
  args.x_layout = layout(a, "x");
  args.tokens = tokens(a);
  if (Cell::kCell) args.c0 = a.array<const T>("c0", args.schedule.B * H);
  args.w_ih = a.array<const T>("w_ih", rows * I);
  args.w_hh = a.array<const T>("w_hh", rows * P);
  args.w_hr = a.optional<const T>("w_hr", P * H);
  args.bfloat16 = a.size("bfloat16");
  return args;
}

template <class Cell, class T>
cpu::RecurrentForward<T> forward_arguments(const Arguments& a) {
  auto args = common<Cell, T, cpu::RecurrentForward<T>>(a);
  const int64_t B = args.schedule.B, N = args.schedule.N, H = args.H, P = args.P, rows = Cell::kInput.size * H;
  const int64_t U = cpu::unit_blocks<T>(H) * cpu::kUnits<T>;
  args.h0 = a.array<const T>("h0", B * P);
  args.b_ih = a.optional<const T>("b_ih", rows);
  args.b_hh = a.optional<const T>("b_hh", rows);
  args.y = a.optional<T>("y");
  if (a.has("y")) args.y_layout = layout(a, "y");
  args.c = a.optional<T>("c");
  if (a.has("c")) args.c_layout = layout(a, "c");
  args.h_n = a.array<T>("h_n", B * P);
  if (Cell::kCell) args.c_n = a.array<T>("c_n", B * H);
  args.kept = a.optional<T>("kept", N * Cell::kKept * U);
  args.cells = a.optional<T>("cells", N * U);
  args.h_prev = a.optional<T>("h_prev", N * P);
  args.unprojected = a.optional<T>("unprojected", N * H);
  return args;
}

template <class Cell, class T>
cpu::RecurrentBackward<T> backward_arguments(const Arguments& a) {
  auto args = common<Cell, T, cpu::RecurrentBackward<T>>(a);
  const int64_t B = args.schedule.B, N = args.schedule.N, H = args.H, P = args.P, rows = Cell::kInput.size * H;
  const int64_t U = cpu::unit_blocks<T>(H) * cpu::kUnits<T>;
  args.dy = a.optional<const T>("dy");
  if (a.has("dy")) args.dy_layout = layout(a, "dy");
  args.dc = a.optional<const T>("dc");
  if (a.has("dc")) args.dc_layout = layout(a, "dc");
  args.dh_n = a.optional<const T>("dh_n", B * P);
  args.dc_n = a.optional<const T>("dc_n", B * H);
  args.kept = a.array<const T>("kept", N * Cell::kKept * U);
  if (Cell::kCell) args.cells = a.array<const T>("cells", N * U);
  args.h_prev = a.array<const T>("h_prev", N * P);
  args.unprojected = a.optional<const T>("unprojected", N * H);
  args.dx = a.optional<T>("dx");
  if (a.has("dx") && !args.tokens.token) args.dx_layout = layout(a, "dx");
  args.dh0 = a.array<T>("dh0", B * P);
  if (Cell::kCell) args.dc0 = a.array<T>("dc0", B * H);
  args.dw_ih = a.array<T>("dw_ih", rows * args.I);
  args.dw_hh = a.array<T>("dw_hh", rows * P);
  args.db_ih = a.array<T>("db_ih", rows);
  args.db_hh = a.optional<T>("db_hh", rows);
  args.dw_hr = a.optional<T>("dw_hr", P * H);
  return args;
}

template <class Cell, class T>
void step(const cpu::ThreadPool& pool, const Arguments& a) {
  const int64_t B = a.size("B"), H = a.size("H"), gates = B * Cell::kInput.size * H;
  cpu::RecurrentCell<T> args{};
  args.B = B, args.H = H;
  args.input_gates = a.array<const T>("input_gates", gates);
  args.hidden_gates = a.optional<const T>("hidden_gates", gates);
  if (Cell::kReadsState) args.h = a.array<const T>("h", B * H);
  if (Cell::kCell) args.c = a.array<const T>("c", B * H);
  args.h_next = a.array<T>("h_next", B * H);
  if (Cell::kCell) args.c_next = a.array<T>("c_next", B * H);
  cpu::recurrent_cell<Cell>(pool, args);
}

template <class Cell, class T>
void step_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  const int64_t B = a.size("B"), H = a.size("H"), gates = B * Cell::kInput.size * H;
  cpu::RecurrentCellBackward<T> args{};
  args.B = B, args.H = H;
  args.dh_next = a.optional<const T>("dh_next", B * H);
  args.dc_next = a.optional<const T>("dc_next", B * H);
  args.input_gates = a.array<const T>("input_gates", gates);
  args.hidden_gates = a.optional<const T>("hidden_gates", gates);
  if (Cell::kReadsState) args.h = a.array<const T>("h", B * H);
  if (Cell::kCell) args.c = a.array<const T>("c", B * H);
  args.dinput_gates = a.array<T>("dinput_gates", gates);
  if (!(Cell::kInput == Cell::kState)) args.dhidden_gates = a.array<T>("dhidden_gates", gates);
  if (Cell::kReadsState) args.dh = a.array<T>("dh", B * H);
  if (Cell::kCell) args.dc = a.array<T>("dc", B * H);
  cpu::recurrent_cell_backward<Cell>(pool, args);
}

}  // namespace

template <class Cell>
void recurrent_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("h0", [&](auto zero) { cpu::recurrent_forward<Cell>(pool, forward_arguments<Cell, decltype(zero)>(a)); });
}

template <class Cell>
void recurrent_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("h0",
             [&](auto zero) { cpu::recurrent_backward<Cell>(pool, backward_arguments<Cell, decltype(zero)>(a)); });
}

template <class Cell>
void bidirectional_forward(const cpu::ThreadPool& pool, const Arguments& ahead, const Arguments& reverse) {
  ahead.dispatch("h0", [&](auto zero) {
    using T = decltype(zero);
    cpu::bidirectional_forward<Cell>(pool, forward_arguments<Cell, T>(ahead), forward_arguments<Cell, T>(reverse));
  });
}

template <class Cell>
void bidirectional_backward(const cpu::ThreadPool& pool, const Arguments& ahead, const Arguments& reverse) {
  ahead.dispatch("h0", [&](auto zero) {
    using T = decltype(zero);
    cpu::bidirectional_backward<Cell>(pool, backward_arguments<Cell, T>(ahead), backward_arguments<Cell, T>(reverse));
  });
}

template <class Cell>
void recurrent_cell(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("input_gates", [&](auto zero) { step<Cell, decltype(zero)>(pool, a); });
}

template <class Cell>
void recurrent_cell_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("input_gates", [&](auto zero) { step_backward<Cell, decltype(zero)>(pool, a); });
}

#define TEXTNN_KERNELS(Cell)                                                                                    \
  template void recurrent_forward<math::Cell>(const cpu::ThreadPool&, const Arguments&);                        \
  template void recurrent_backward<math::Cell>(const cpu::ThreadPool&, const Arguments&);                       \
  template void bidirectional_forward<math::Cell>(const cpu::ThreadPool&, const Arguments&, const Arguments&);  \
  template void bidirectional_backward<math::Cell>(const cpu::ThreadPool&, const Arguments&, const Arguments&); \
  template void recurrent_cell<math::Cell>(const cpu::ThreadPool&, const Arguments&);                           \
  template void recurrent_cell_backward<math::Cell>(const cpu::ThreadPool&, const Arguments&);
TEXTNN_FOR_EACH_CELL(TEXTNN_KERNELS)

}  // namespace textnn::native
