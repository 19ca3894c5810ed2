// textnn::linear_cross_entropy and its backward operator: torch's matrix products over blocks of rows and columns of
// the logits, and the passes of cpu/linear_cross_entropy.h between them.
//
//   block of n rows:   for each block of columns   z = x W^T      running maximum and sum       (3 products in all,
//                      for each block of columns   dz             dx += dz W, dW += dz^T x       as without blocks)
//
// Logits of n rows are kept between both, [n, V], and no more. The backward operator, for losses of single rows whose
// gradients are not known in the forward pass, and for derivatives of its own, makes the logits once more; it knows lse
// and keeps no more than a block of [n, columns].
//
// Rows whose target is ignored are left out at once. Rows are copied together for that, and rounded where products are
// to be of bfloat16.
#include "linear_cross_entropy.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include "../cpu/linear_cross_entropy.h"
#include "products.h"

namespace textnn::ops {
namespace {

using Results = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;
using Gradients = std::tuple<Tensor, Tensor, Tensor>;

constexpr int64_t kRows = 512, kColumns = 2048;  // of a block, at most
constexpr int64_t kFewRows = 128;                // fewer make products slow
constexpr int64_t kKept = 1 << 24;               // logits between both passes, unless rows are few

Tensor first_rows(Tensor t, int64_t begin, int64_t count) { return torch::stable::narrow(t, 0, begin, count); }

template <class S>
constexpr ScalarType kStored = ScalarType::Float;
template <>
constexpr ScalarType kStored<double> = ScalarType::Double;
template <>
constexpr ScalarType kStored<cpu::Bfloat16Logit> = ScalarType::BFloat16;

// Memory of rows * columns elements of S; from the kernels' pool if large.
template <class S>
Tensor scratch(const Tensor& like, int64_t rows, int64_t columns) {
  return pooled(torch::stable::new_empty(like, {0}, kStored<S>), {rows, columns});
}
template <class S>
S* at(Tensor& t) {
  return static_cast<S*>(t.mutable_data_ptr());
}

// What gradients of rows are multiplied by.
struct Upstream {
  const Tensor* each = nullptr;  // [N], or none: `all`
  double all = 1;

  double operator()(int64_t row) const {
    if (!each) return all;
    return each->scalar_type() == ScalarType::Float ? double(each->const_data_ptr<float>()[row])
                                                    : each->const_data_ptr<double>()[row];
  }
};

template <class S>
class LogitBlocks {
  using T = typename cpu::LogitMath<S>::type;

 public:
  // dx [N, H], dw [V, H], db [V] are empty where they are not wanted.
  LogitBlocks(const LinearCrossEntropy& call, Tensor dx, Tensor dw, Tensor db, bool keep)
      : c_(call), pool_(torch_threads()), dx_(dx), dw_(dw), db_(db), w_(call.linear_weight) {
    const int64_t most = std::min(kRows, std::max(keep ? kKept / std::max<int64_t>(1, c_.V) : kRows, kFewRows));
    const int64_t quarter = std::max(kFewRows, (c_.used() + 3) / 4);  // never all of [N, V], unless it is small
    const int64_t size = std::min(most, quarter);
    blocks_ = (c_.used() + size - 1) / size;
    rows_ = blocks_ ? (c_.used() + blocks_ - 1) / blocks_ : 0;
    columns_ = (c_.V + kColumns - 1) / kColumns;
    width_ = columns_ ? (c_.V + columns_ - 1) / columns_ : 0;
    if (dx_.numel()) std::fill_n(writable<T>(dx_), dx_.numel(), T(0));
    if (dw_.numel() && !blocks_) std::fill_n(writable<T>(dw_), dw_.numel(), T(0));
    if (db_.numel()) std::fill_n(writable<T>(db_), db_.numel(), T(0));
    if (!blocks_) return;
    if constexpr (!std::is_same_v<S, T>) {
      w_ = scratch<S>(c_.x, c_.V, c_.H);
      cpu::gather_rows<S>(pool_, at<S>(w_), c_.linear_weight.template const_data_ptr<T>(), nullptr, c_.V, c_.H);
    }
    x_ = scratch<S>(c_.x, rows_, c_.H);
    for (int64_t i = 0; i < columns_; ++i)  // without a gap between rows, also in the last block, which may be narrow
      if (keep || i == 0 || width(i) != width_) z_.push_back(scratch<S>(c_.x, rows_, width(i)));
    if (dx_.numel()) product_x_ = scratch<S>(c_.x, rows_, c_.H);
    if (dw_.numel()) product_w_ = scratch<S>(c_.x, width_, c_.H);
    if (dx_.numel()) sums_x_.resize(size_t(rows_ * c_.H));
  }

  // The loss of each used row to loss [N], its log-sum-exp to lse [N]; with gradients of `up`, if they are wanted.
  void forward(T* loss, T* lse, const Upstream& up) {
    const bool keep = dx_.numel() || dw_.numel() || db_.numel();
    const double e = c_.smoothing;
    for (int64_t block = 0; block < blocks_; ++block) {
      begin(block);
      const size_t n = size_t(n_);
      std::vector<T> top(n, -std::numeric_limits<T>::infinity()), score(n), row_lse(n), reference(size_t(columns_) * n);
      std::vector<double> sum(n, 0), weighted(e > 0 ? n : 0, 0);
      for (int64_t i = 0; i < columns_; ++i) {
        Tensor z = make_logits(i, keep);
        cpu::fold_logits<S>(pool_, logits(z, i),
                            {top.data(), sum.data(), e > 0 ? weighted.data() : nullptr, score.data()},
                            keep ? reference.data() + i * n_ : nullptr);
      }
      for (size_t r = 0; r < n; ++r) {
        const double total = double(top[r]) + std::log(sum[r]), own = c_.class_weight(target_[r]);
        const int64_t row = row_[r];
        double value = (1 - e) * own * (total - double(score[r]));
        if (e > 0) value += e / double(c_.V) * (c_.weight_sum * total - weighted[r]);
        loss[row] = T(value);
        lse[row] = row_lse[r] = T(total);
      }
      if (keep) gradients(block, row_lse.data(), reference.data(), up);
    }
  }

  void backward(const T* lse, const Upstream& up) {
    for (int64_t block = 0; block < blocks_; ++block) {
      begin(block);
      std::vector<T> row_lse(static_cast<size_t>(n_));
      for (int64_t r = 0; r < n_; ++r) row_lse[size_t(r)] = lse[row_[r]];
      gradients(block, row_lse.data(), nullptr, up);
    }
  }

 private:
  int64_t first_column(int64_t i) const { return i * width_; }
  int64_t width(int64_t i) const { return std::min(width_, c_.V - first_column(i)); }

  void begin(int64_t block) {
    const int64_t first = block * rows_;
    n_ = std::min(rows_, c_.used() - first);
    row_ = c_.row.data() + first;
    target_ = c_.target_of.data() + first;
    cpu::gather_rows<S>(pool_, at<S>(x_), c_.x.template const_data_ptr<T>(), row_, n_, c_.H);
  }

  Tensor weights(int64_t i) const { return first_rows(w_, first_column(i), width(i)); }

  Tensor logits_of(int64_t i, bool keep) const {
    return first_rows(z_[keep ? size_t(i) : size_t(width(i) != width_)], 0, n_);
  }
  Tensor make_logits(int64_t i, bool keep) {
    const Tensor z = logits_of(i, keep);
    products_.add(z, first_rows(x_, 0, n_), torch::stable::transpose(weights(i), 0, 1), 256, 512);
    products_.run(pool_);
    return z;
  }
  cpu::LogitBlock<S> logits(Tensor& z, int64_t i) const {
    const int64_t first = first_column(i);
    const T *bias = pointer<T>(c_.linear_bias), *weight = pointer<T>(c_.weight);
    return {at<S>(z), n_, width(i), first, target_, bias ? bias + first : nullptr, weight ? weight + first : nullptr};
  }

  // reference: of fold_logits, or null, for logits that are made here.
  void gradients(int64_t block, const T* lse, const T* reference, const Upstream& up) {
    const size_t n = size_t(n_);
    const double e = c_.smoothing;
    std::vector<T> all(n), hit(n), smooth(e > 0 ? n : 0);
    for (size_t r = 0; r < n; ++r) {
      const double g = up(row_[r]), own = (1 - e) * c_.class_weight(target_[r]);
      all[r] = T(g * (own + e / double(c_.V) * c_.weight_sum));
      hit[r] = T(g * own);
      if (e > 0) smooth[r] = T(g * e / double(c_.V));
    }
    for (int64_t i = 0; i < columns_; ++i) {
      Tensor z = reference ? logits_of(i, true) : make_logits(i, false);
      cpu::logit_gradients<S>(
          pool_, logits(z, i),
          {reference ? reference + i * n_ : nullptr, lse, all.data(), hit.data(), e > 0 ? smooth.data() : nullptr},
          db_.numel() ? writable<T>(db_) + first_column(i) : nullptr);
      if (dx_.numel()) products_.add(first_rows(product_x_, 0, n_), z, weights(i), 256, 256);
      if (dw_.numel())
        products_.add(first_rows(product_w_, 0, width(i)), torch::stable::transpose(z, 0, 1), first_rows(x_, 0, n_),
                      512, 256);
      products_.run(pool_);
      if (dx_.numel()) cpu::add_block<S>(pool_, sums_x_.data(), at<S>(product_x_), n_ * c_.H, i > 0);
      if (dw_.numel())
        cpu::add_block<S>(pool_, writable<T>(dw_) + first_column(i) * c_.H, at<S>(product_w_), width(i) * c_.H,
                          block > 0);
    }
    for (int64_t r = 0; dx_.numel() && r < n_; ++r)
      std::copy_n(sums_x_.data() + r * c_.H, c_.H, writable<T>(dx_) + row_[r] * c_.H);
  }

  const LinearCrossEntropy& c_;
  const cpu::ThreadPool pool_;
  Tensor dx_, dw_, db_;
  Tensor w_;  // [V, H] as products read it
  Tensor x_;  // [rows, H], the rows of a block
  Products products_;
  Tensor product_x_, product_w_;  // [rows, H], [width, H]
  std::vector<T> sums_x_;         // [rows, H]
  std::vector<Tensor> z_;         // [rows, width] of each block of columns if logits are kept, else of each width
  int64_t blocks_, rows_, columns_, width_;
  int64_t n_ = 0;  // of the present block of rows
  const int64_t *row_ = nullptr, *target_ = nullptr;
};

// f(S{}) with what logits are stored as.
template <class F>
void dispatch_stored(const LinearCrossEntropy& call, F&& f) {
  if (call.bfloat16) return f(cpu::Bfloat16Logit{});
  dispatch(call.x, f);
}

Results linear_cross_entropy(const Tensor& x, const Tensor& linear_weight, const OptionalTensor& linear_bias,
                             const Tensor& target, const OptionalTensor& weight, std::string reduction,
                             int64_t ignore_index, double label_smoothing, std::string precision, bool need_dx,
                             bool need_dweight, bool save) {
  const LinearCrossEntropy c(x, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing,
                             precision);
  const bool keep = save && !c.none;
  Tensor each = empty(c.x, {c.N}), lse = empty(c.x, {c.N}), loss = c.none ? each : empty(c.x, {});
  Tensor dx = pooled(c.x, {keep && need_dx ? c.N : 0, c.H});
  Tensor dw = pooled(c.x, {keep && need_dweight ? c.V : 0, c.H});
  Tensor db = empty(c.x, {keep && need_dweight && linear_bias ? c.V : 0});
  dispatch_stored(c, [&](auto stored) {
    using S = decltype(stored);
    using T = typename cpu::LogitMath<S>::type;
    std::fill_n(writable<T>(each), c.N, T(0));
    std::fill_n(writable<T>(lse), c.N, T(0));
    LogitBlocks<S>(c, dx, dw, db, keep)
        .forward(writable<T>(each), writable<T>(lse), {nullptr, c.mean ? 1 / c.total : 1});
    if (c.none) return;
    double sum = 0;
    for (int64_t n = 0; n < c.N; ++n) sum += double(each.const_data_ptr<T>()[n]);
    *loss.mutable_data_ptr<T>() = T(c.mean ? sum / c.total : sum);
  });
  return {loss, save ? lse : empty(c.x, {0}), dx, dw, db};
}

Gradients linear_cross_entropy_backward(const Tensor& dloss_, const Tensor& x, const Tensor& linear_weight,
                                        const OptionalTensor& linear_bias, const Tensor& target,
                                        const OptionalTensor& weight, const Tensor& lse_, std::string reduction,
                                        int64_t ignore_index, double label_smoothing, std::string precision,
                                        bool need_dx, bool need_dweight) {
  const LinearCrossEntropy c(x, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing,
                             precision);
  check_shape("the gradient", dloss_, c.none ? std::vector<int64_t>{c.N} : std::vector<int64_t>{});
  check_dtype("the gradient", dloss_, c.x);
  check_shape("lse", lse_, {c.N});
  check_dtype("lse", lse_, c.x);
  const Tensor dloss = compact(dloss_), lse = compact(lse_);
  Tensor dx = pooled(c.x, {need_dx ? c.N : 0, c.H}), dw = pooled(c.x, {need_dweight ? c.V : 0, c.H});
  Tensor db = empty(c.x, {need_dweight && linear_bias ? c.V : 0});
  dispatch_stored(c, [&](auto stored) {
    using S = decltype(stored);
    using T = typename cpu::LogitMath<S>::type;
    Upstream up;
    if (c.none)
      up.each = &dloss;
    else
      up.all = double(*dloss.const_data_ptr<T>()) / (c.mean ? c.total : 1);
    LogitBlocks<S>(c, dx, dw, db, false).backward(lse.const_data_ptr<T>(), up);
  });
  return {dx, dw, db};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("linear_cross_entropy", TORCH_BOX(&textnn::ops::linear_cross_entropy));
  m.impl("linear_cross_entropy_backward", TORCH_BOX(&textnn::ops::linear_cross_entropy_backward));
}
