// csrc/cpu/lstm.h and lstm_cell.h, called with arguments by the names that they have there.
#include "../../csrc/cpu/lstm.h"
#include "../../csrc/cpu/lstm_cell.h"
#include "arrays.h"
#include "schedules.h"

namespace textnn::native {
namespace {

cpu::Tokens tokens(const Arguments& a) {
  if (!a.has("token")) return {};
  return {a.count("distinct"), a.array<const int64_t>("distinct"), a.array<const int32_t>("token")};
}

template <class T>
void forward(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::Schedule s = schedule(a);
  const int64_t I = a.size("I"), H = a.size("H"), P = a.size("P");
  const int64_t U = cpu::unit_blocks<T>(H) * cpu::kUnits<T>;
  cpu::LstmForward<T> args{};
  args.schedule = s;
  args.I = I, args.H = H, args.P = P;
  args.x = a.array<const T>("x");
  args.x_layout = layout(a, "x");
  args.tokens = tokens(a);
  args.h0 = a.array<const T>("h0", s.B * P);
  args.c0 = a.array<const T>("c0", s.B * H);
  args.w_ih = a.array<const T>("w_ih", 4 * H * I);
  args.w_hh = a.array<const T>("w_hh", 4 * H * P);
  args.b_ih = a.optional<const T>("b_ih", 4 * H);
  args.b_hh = a.optional<const T>("b_hh", 4 * H);
  args.w_hr = a.optional<const T>("w_hr", P * H);
  args.y = a.optional<T>("y");
  if (a.has("y")) args.y_layout = layout(a, "y");
  args.h_n = a.array<T>("h_n", s.B * P);
  args.c_n = a.array<T>("c_n", s.B * H);
  args.gates = a.optional<T>("gates", s.N * 4 * U);
  args.cells = a.optional<T>("cells", s.N * U);
  args.h_prev = a.optional<T>("h_prev", s.N * P);
  args.unprojected = a.optional<T>("unprojected", s.N * H);
  cpu::lstm_forward(pool, args);
}

template <class T>
void backward(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::Schedule s = schedule(a);
  const int64_t I = a.size("I"), H = a.size("H"), P = a.size("P");
  cpu::LstmBackward<T> args{};
  args.schedule = s;
  args.I = I, args.H = H, args.P = P;
  args.x = a.array<const T>("x");
  args.x_layout = layout(a, "x");
  args.tokens = tokens(a);
  args.dy = a.optional<const T>("dy");
  if (a.has("dy")) args.dy_layout = layout(a, "dy");
  args.dh_n = a.optional<const T>("dh_n", s.B * P);
  args.dc_n = a.optional<const T>("dc_n", s.B * H);
  args.c0 = a.array<const T>("c0", s.B * H);
  args.w_ih = a.array<const T>("w_ih", 4 * H * I);
  args.w_hh = a.array<const T>("w_hh", 4 * H * P);
  args.w_hr = a.optional<const T>("w_hr", P * H);
  const int64_t U = cpu::unit_blocks<T>(H) * cpu::kUnits<T>;
  args.gates = a.array<const T>("gates", s.N * 4 * U);
  args.cells = a.array<const T>("cells", s.N * U);
  args.h_prev = a.array<const T>("h_prev", s.N * P);
  args.unprojected = a.optional<const T>("unprojected", s.N * H);
  args.dx = a.optional<T>("dx");
  if (a.has("dx") && !args.tokens.token) args.dx_layout = layout(a, "dx");
  args.dh0 = a.array<T>("dh0", s.B * P);
  args.dc0 = a.array<T>("dc0", s.B * H);
  args.dw_ih = a.array<T>("dw_ih", 4 * H * I);
  args.dw_hh = a.array<T>("dw_hh", 4 * H * P);
  args.db = a.array<T>("db", 4 * H);
  args.dw_hr = a.optional<T>("dw_hr", P * H);
  cpu::lstm_backward(pool, args);
}

template <class T>
void cell(const cpu::ThreadPool& pool, const Arguments& a) {
  const int64_t B = a.size("B"), H = a.size("H");
  const cpu::LstmCell<T> args{B,
                              H,
                              a.array<const T>("gates", B * 4 * H),
                              a.array<const T>("c", B * H),
                              a.array<T>("h", B * H),
                              a.array<T>("c_next", B * H)};
  cpu::lstm_cell(pool, args);
}

template <class T>
void cell_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  const int64_t B = a.size("B"), H = a.size("H");
  const cpu::LstmCellBackward<T> args{B,
                                      H,
                                      a.array<const T>("dh", B * H),
                                      a.array<const T>("dc_next", B * H),
                                      a.array<const T>("gates", B * 4 * H),
                                      a.array<const T>("c", B * H),
                                      a.array<T>("dgates", B * 4 * H),
                                      a.array<T>("dc", B * H)};
  cpu::lstm_cell_backward(pool, args);
}

}  // namespace

void lstm_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("h0", [&](auto zero) { forward<decltype(zero)>(pool, a); });
}

void lstm_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("h0", [&](auto zero) { backward<decltype(zero)>(pool, a); });
}

void lstm_cell(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("c", [&](auto zero) { cell<decltype(zero)>(pool, a); });
}

void lstm_cell_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("c", [&](auto zero) { cell_backward<decltype(zero)>(pool, a); });
}

}  // namespace textnn::native
