#include "linear_cross_entropy.h"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include "capability.h"
#include "workspace.h"

namespace textnn::cpu {

#define TEXTNN_PAIRS 0
#define TEXTNN_KERNEL "linear_cross_entropy_kernels.h"
#include "foreach_isa.h"

template <class S>
void fold_logits(const ThreadPool& pool, const LogitBlock<S>& block, const RowSums<typename LogitBlock<S>::T>& sums,
                 typename LogitBlock<S>::T* reference) {
  TEXTNN_PICK(fold_logits<S>)(pool, block, sums, reference);
}

template <class S>
void logit_gradients(const ThreadPool& pool, const LogitBlock<S>& block,
                     const GradientFactors<typename LogitBlock<S>::T>& factors, typename LogitBlock<S>::T* dbias) {
  TEXTNN_PICK(logit_gradients<S>)(pool, block, factors, dbias);
}

template <class S>
void add_block(const ThreadPool& pool, typename LogitMath<S>::type* to, const S* from, int64_t n, bool add) {
  TEXTNN_PICK(add_block<S>)(pool, to, from, n, add);
}

template <class S>
void gather_rows(const ThreadPool& pool, S* to, const typename LogitMath<S>::type* from, const int64_t* row,
                 int64_t rows, int64_t columns) {
  TEXTNN_PICK(gather_rows<S>)(pool, to, from, row, rows, columns);
}

#define TEXTNN_LOGITS(S, T)                                                                              \
  template void fold_logits(const ThreadPool&, const LogitBlock<S>&, const RowSums<T>&, T*);             \
  template void logit_gradients(const ThreadPool&, const LogitBlock<S>&, const GradientFactors<T>&, T*); \
  template void add_block(const ThreadPool&, T*, const S*, int64_t, bool);                               \
  template void gather_rows(const ThreadPool&, S*, const T*, const int64_t*, int64_t, int64_t);
TEXTNN_LOGITS(float, float)
TEXTNN_LOGITS(double, double)
TEXTNN_LOGITS(Bfloat16Logit, float)

}  // namespace textnn::cpu
