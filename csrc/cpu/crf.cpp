#include "crf.h"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>
#include "../math/crf.h"
#include "capability.h"
#include "workspace.h"

namespace textnn::cpu {
namespace {

constexpr int64_t kForwardRuns = 64;

// Sequences begin[r] .. begin[r + 1] belong to run r: at most so many runs, with about as many steps each.
struct SequenceRuns {
  std::vector<int64_t> begin{0};
  int64_t steps = 0;

  SequenceRuns(const Sentences& s, int64_t most) {
    for (int64_t b = 0; b < s.B; ++b) steps += s.length[b] + 1;
    int64_t before = 0;
    for (int64_t b = 0; b < s.B; ++b) {
      before += s.length[b] + 1;
      if (b + 1 == s.B || before * most >= steps * int64_t(begin.size())) begin.push_back(b + 1);
    }
  }
  int64_t count() const { return int64_t(begin.size()) - 1; }
  int64_t longest(const Sentences& s, int64_t run) const {
    return *std::max_element(s.length + begin[size_t(run)], s.length + begin[size_t(run) + 1]);
  }
};

}  // namespace

#define TEXTNN_KERNEL "crf_kernels.h"
#include "foreach_isa.h"

template <class T>
void crf_forward(const ThreadPool& pool, const CrfForward<T>& args) {
  TEXTNN_PICK(crf_forward<T>)(pool, args);
}

template <class T>
void crf_backward(const ThreadPool& pool, const CrfBackward<T>& args) {
  TEXTNN_PICK(crf_backward<T>)(pool, args);
}

template <class T>
void crf_decode(const ThreadPool& pool, const CrfDecode<T>& args) {
  TEXTNN_PICK(crf_decode<T>)(pool, args);
}

template void crf_forward(const ThreadPool&, const CrfForward<float>&);
template void crf_forward(const ThreadPool&, const CrfForward<double>&);
template void crf_backward(const ThreadPool&, const CrfBackward<float>&);
template void crf_backward(const ThreadPool&, const CrfBackward<double>&);
template void crf_decode(const ThreadPool&, const CrfDecode<float>&);
template void crf_decode(const ThreadPool&, const CrfDecode<double>&);

}  // namespace textnn::cpu
