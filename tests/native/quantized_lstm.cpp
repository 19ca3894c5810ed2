// csrc/cpu/quantized_lstm.h, called with arguments by the names that they have there.
#include "../../csrc/cpu/quantized_lstm.h"
#include "arrays.h"
#include "schedules.h"

namespace textnn::native {

void quantized_lstm(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::Schedule s = schedule(a);
  const int64_t I = a.size("I"), H = a.size("H");
  const int64_t weights = cpu::quantized_panels(H) * (cpu::quantized_groups(I) + cpu::quantized_groups(H)) * 256;
  cpu::quantized_lstm(
      pool, {s, I, H, a.array<const float>("x"), layout(a, "x"), a.array<const float>("h0", s.B * H),
             a.array<const float>("c0", s.B * H), a.array<const int8_t>("weight", weights),
             a.array<const float>("scale", 8 * H), a.array<const int32_t>("sum", 8 * H),
             a.array<const float>("bias", 4 * H), a.optional<float>("y"), a.has("y") ? layout(a, "y") : cpu::Layout{},
             a.array<float>("h_n", s.B * H), a.array<float>("c_n", s.B * H)});
}

}  // namespace textnn::native
