#include "pool.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include "../math/activation.h"
#include "capability.h"

namespace textnn::cpu {

#define TEXTNN_KERNEL "pool_kernels.h"
#include "foreach_isa.h"

template <class T>
void max_mean_pool(const ThreadPool& pool, const MaxMeanPool<T>& args) {
  TEXTNN_PICK(max_mean_pool<T>)(pool, args);
}

template <class T>
void max_mean_pool_backward(const ThreadPool& pool, const MaxMeanPoolBackward<T>& args) {
  TEXTNN_PICK(max_mean_pool_backward<T>)(pool, args);
}

template void max_mean_pool(const ThreadPool&, const MaxMeanPool<float>&);
template void max_mean_pool(const ThreadPool&, const MaxMeanPool<double>&);
template void max_mean_pool_backward(const ThreadPool&, const MaxMeanPoolBackward<float>&);
template void max_mean_pool_backward(const ThreadPool&, const MaxMeanPoolBackward<double>&);

}  // namespace textnn::cpu
