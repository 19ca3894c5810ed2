// A ragged batch (csrc/cpu/schedule.h) out of arguments.
#pragma once
#include "../../csrc/cpu/schedule.h"
#include "arrays.h"

namespace textnn::native {

inline cpu::Schedule schedule(const Arguments& a) {
  const int64_t B = a.count("sequence"), T = a.count("batch_size");
  return {B,
          T,
          a.size("N"),
          a.array<const int64_t>("sequence"),
          a.array<const int64_t>("length", B),
          a.array<const int64_t>("batch_size"),
          a.array<const int64_t>("first_row", T),
          a.size("reverse") != 0};
}

inline cpu::Layout layout(const Arguments& a, const std::string& of) {
  return {a.array<const int64_t>(of + "_sequence_offset", a.count("sequence")),
          a.array<const int64_t>(of + "_step_offset", a.count("batch_size"))};
}

}  // namespace textnn::native
