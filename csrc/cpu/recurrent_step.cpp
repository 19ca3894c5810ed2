#include "recurrent_step.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include "../math/cells.h"
#include "capability.h"
#include "team_size.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "recurrent_step_kernels.h"
#include "foreach_isa.h"

template <class Cell, class T>
void recurrent_step(const ThreadPool& pool, const RecurrentStep<T>& a) {
  // To read a weight takes as long as to multiply it with so many rows.
  constexpr int64_t kReading = 8;
  int64_t weights = 0;
  bool projected = false;
  for (int64_t l = 0; l < a.L; ++l) {
    weights += (a.layers[l].I * Cell::kInput.size + a.P * Cell::kState.size) * a.H;
    if (a.layers[l].w_hr) weights += a.P * a.H, projected = true;
  }
  const double work = double(weights) * double(std::max(kReading, a.B));
  const int threads = team_size(pool.threads, work, a.L * (projected ? 2 : 1), true);
  const auto member = TEXTNN_PICK(recurrent_step_member<Cell, T>);
  const int64_t m = projected ? a.B * a.H : 0;
  Workspace workspace(Workspace::bytes<T>(m));
  T* scratch = workspace.take<T>(m);
  Team::run(pool, threads, work, [&](Team& team, int i, int size) { member(a, scratch, team, i, size); });
}

#define TEXTNN_STEP(Cell)                                                                   \
  template void recurrent_step<math::Cell>(const ThreadPool&, const RecurrentStep<float>&); \
  template void recurrent_step<math::Cell>(const ThreadPool&, const RecurrentStep<double>&);
TEXTNN_FOR_EACH_CELL(TEXTNN_STEP)
#undef TEXTNN_STEP

}  // namespace textnn::cpu
