// textnn::text_conv, textnn::embedding_text_conv and their backward operators.
#include "text_conv.h"
#include "../cpu/text_conv.h"
#include "distinct.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

cpu::TextConvKernelSizes sizes_of(const TextConvKernels& k, bool same, int64_t activation,
                                  const std::string& precision) {
  cpu::TextConvKernelSizes sizes{k.S, k.C, k.D, k.taps.data(), same, activation_of(activation)};
  check_precision(precision);
  sizes.bfloat16 = precision == "bf16";
  return sizes;
}
template <class T>
std::vector<const T*> weight_pointers(const TextConvKernels& kernels) {
  std::vector<const T*> p;
  for (const Tensor& t : kernels.weight) p.push_back(t.const_data_ptr<T>());
  return p;
}
template <class T>
std::vector<const T*> bias_pointers(const TextConvKernels& kernels) {
  std::vector<const T*> p;
  for (const OptionalTensor& t : kernels.bias) p.push_back(pointer<T>(t));
  return p;
}

std::tuple<Tensor, Tensor> text_conv(const Tensor& x_, const Tensors& weight, const Tensors& bias,
                                     const OptionalTensor& sizes, bool flat, bool same, int64_t activation,
                                     std::string precision, bool save) {
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const TextConvKernels kernels(weight, bias, x);
  const SentenceBounds bounds(x, flat, sizes);
  TextConvOutput out(x, int64_t(bounds.start.size()), kernels.features, save);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const auto w = weight_pointers<T>(kernels), b = bias_pointers<T>(kernels);
    cpu::text_conv_forward<T>(
        torch_threads(), {bounds.sentences(), sizes_of(kernels, same, activation, precision), x.const_data_ptr<T>(),
                          w.data(), b.data(), writable<T>(out.y), writable<int32_t>(out.window), nullptr});
  });
  return {out.y, out.window};
}

std::tuple<Tensor, Tensor> embedding_text_conv(const Tensor& ids_, const Tensor& table_, const Tensors& weight,
                                               const Tensors& bias, const OptionalTensor& sizes, bool flat, bool same,
                                               int64_t activation, std::string precision, int64_t padding_idx,
                                               bool /*sparse*/, bool save, bool /*tf32*/, bool /*deterministic*/) {
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  const Tensor ids = compact(ids_), table = compact(table_);
  const TextConvKernels kernels(weight, bias, table);
  const SentenceBounds bounds(ids, flat, sizes);
  const Distinct distinct(ids, table.size(0));
  TextConvOutput out(table, int64_t(bounds.start.size()), kernels.features, save);
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    const auto w = weight_pointers<T>(kernels), b = bias_pointers<T>(kernels);
    cpu::embedding_text_conv_forward<T>(
        torch_threads(), {bounds.sentences(), sizes_of(kernels, same, activation, precision), distinct.U,
                          distinct.id.data(), distinct.token.data(), table.const_data_ptr<T>(), w.data(), b.data(),
                          writable<T>(out.y), writable<int32_t>(out.window), nullptr});
  });
  return {out.y, out.window};
}

// The output of every window: its rows, with zeros behind the windows of a padded sentence.
struct Positions {
  const SentenceBounds bounds;
  cpu::TextConvKernelSizes sizes;
  const TextConvRows rows;
  Tensor y;

  Positions(const Tensor& tokens, const Tensor& like, const TextConvKernels& kernels, const OptionalTensor& lengths,
            bool flat, const TextConvPlaces& places, int64_t activation, const std::string& precision)
      : bounds(tokens, flat, lengths),
        sizes(told(kernels, places, activation, precision)),
        rows(bounds.length, sizes, tokens, flat),
        y(empty(like, rows.shape)) {
    const int64_t columns = sizes.S * sizes.C;
    if (!flat && y.numel())
      dispatch(y, [&](auto zero) {
        using T = decltype(zero);
        for (size_t b = 0; b < bounds.length.size(); ++b) {
          const int64_t windows = sizes.windows(0, bounds.length[b]);
          std::fill_n(writable<T>(y) + (rows.first[b] + windows) * columns, (rows.shape[1] - windows) * columns, T(0));
        }
      });
  }

 private:
  static cpu::TextConvKernelSizes told(const TextConvKernels& kernels, const TextConvPlaces& places, int64_t activation,
                                       const std::string& precision) {
    cpu::TextConvKernelSizes sizes = sizes_of(kernels, places.same, activation, precision);
    places.tell(sizes);
    return sizes;
  }
};

Tensor text_conv_positions(const Tensor& x_, const Tensors& weight, const Tensors& bias, const OptionalTensor& lengths,
                           bool flat, bool same, int64_t padding, int64_t stride, int64_t activation,
                           std::string precision) {
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const TextConvKernels kernels(weight, bias, x);
  Positions p(x, x, kernels, lengths, flat, {kernels, same, padding, stride}, activation, precision);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const auto w = weight_pointers<T>(kernels), b = bias_pointers<T>(kernels);
    cpu::text_conv_forward<T>(torch_threads(), {p.bounds.sentences(), p.sizes, x.const_data_ptr<T>(), w.data(),
                                                b.data(), writable<T>(p.y), nullptr, p.rows.first.data()});
  });
  return p.y;
}

Tensor embedding_text_conv_positions(const Tensor& ids_, const Tensor& table_, const Tensors& weight,
                                     const Tensors& bias, const OptionalTensor& lengths, bool flat, bool same,
                                     int64_t padding, int64_t stride, int64_t activation, std::string precision,
                                     int64_t padding_idx, bool /*sparse*/, bool /*tf32*/) {
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  const Tensor ids = compact(ids_), table = compact(table_);
  const TextConvKernels kernels(weight, bias, table);
  const Distinct distinct(ids, table.size(0));
  Positions p(ids, table, kernels, lengths, flat, {kernels, same, padding, stride}, activation, precision);
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    const auto w = weight_pointers<T>(kernels), b = bias_pointers<T>(kernels);
    cpu::embedding_text_conv_forward<T>(torch_threads(), {p.bounds.sentences(), p.sizes, distinct.U, distinct.id.data(),
                                                          distinct.token.data(), table.const_data_ptr<T>(), w.data(),
                                                          b.data(), writable<T>(p.y), nullptr, p.rows.first.data()});
  });
  return p.y;
}

// The kernels use the windows as indices.
void check_windows(const int32_t* window, const SentenceBounds& bounds, const cpu::TextConvKernelSizes& k) {
  for (int64_t b = 0; b < int64_t(bounds.length.size()); ++b)
    for (int64_t i = 0; i < k.S; ++i, window += k.C)
      check_kept_positions("window", window, k.C, k.windows(i, bounds.length[size_t(b)]), b);
}

// Both backward operators: everything but what a token is.
struct Backward : TextConvGradient {
  using TextConvGradient::TextConvGradient;

  // x: rows of vectors. distinct: which of them stand where, or null where every position has its own.
  void run(const SentenceBounds& bounds, const TextConvKernels& kernels, bool same, int64_t activation,
           const std::string& precision, int64_t N, const Tensor& x, const Distinct* distinct, bool compact_rows,
           int64_t padding, Tensor& dx) {
    const cpu::TextConvKernelSizes sizes = sizes_of(kernels, same, activation, precision);
    check_windows(window.numel() ? window.const_data_ptr<int32_t>() : nullptr, bounds, sizes);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const auto weight = weight_pointers<T>(kernels);
      cpu::TextConvBackward<T> args{};
      args.sentences = bounds.sentences();
      args.sizes = sizes;
      args.N = N;
      args.x = x.const_data_ptr<T>();
      args.embedded = distinct != nullptr;
      args.U = distinct ? distinct->U : N;
      args.distinct = distinct ? distinct->id.data() : nullptr;
      args.token = distinct ? distinct->token.data() : nullptr;
      args.weight = weight.data();
      args.y = y.const_data_ptr<T>();
      args.window = window.const_data_ptr<int32_t>();
      args.dy = dy.const_data_ptr<T>();
      args.compact = compact_rows;
      args.padding = padding;
      args.dx_rows = distinct ? dx.size(0) : N;
      args.dx = writable<T>(dx);
      args.dweight = writable<T>(dweight);
      args.dbias = writable<T>(dbias);
      cpu::text_conv_backward<T>(torch_threads(), args);
    });
  }
};

std::tuple<Tensor, Tensor, Tensor> text_conv_backward(const Tensor& dy, const Tensor& x_, const Tensors& weight,
                                                      const OptionalTensor& sizes, bool flat, bool same,
                                                      int64_t activation, std::string precision, const Tensor& y,
                                                      const Tensor& window, bool need_dx) {
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const TextConvKernels kernels(weight, {}, x);
  const SentenceBounds bounds(x, flat, sizes);
  Backward b(dy, y, window, kernels, int64_t(bounds.start.size()), x);
  Tensor dx = need_dx ? torch::stable::empty_like(x) : empty(x, {0});
  b.run(bounds, kernels, same, activation, precision, bounds.positions, x, nullptr, false, -1, dx);
  return {dx, b.dweight, b.dbias};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_text_conv_backward(
    const Tensor& dy, const Tensor& ids_, const Tensor& table_, const Tensors& weight, const OptionalTensor& sizes,
    bool flat, bool same, int64_t activation, std::string precision, const Tensor& y, const Tensor& window,
    int64_t padding_idx, bool sparse, bool need_dtable, bool /*deterministic*/) {
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  const Tensor ids = compact(ids_), table = compact(table_);
  const TextConvKernels kernels(weight, {}, table);
  const SentenceBounds bounds(ids, flat, sizes);
  const Distinct distinct(ids, table.size(0));
  const int64_t V = table.size(0), D = table.size(1);
  Backward b(dy, y, window, kernels, int64_t(bounds.start.size()), table);
  Tensor rows = torch::stable::new_empty(ids, {sparse ? distinct.U : 0});
  if (sparse) std::copy_n(distinct.id.data(), distinct.U, writable<int64_t>(rows));
  Tensor dtable = need_dtable ? pooled(table, {sparse ? distinct.U : V, D}) : empty(table, {0, D});
  b.run(bounds, kernels, same, activation, precision, distinct.N, table, &distinct, sparse, padding_idx, dtable);
  return {dtable, rows, b.dweight, b.dbias};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("text_conv", TORCH_BOX(&textnn::ops::text_conv));
  m.impl("text_conv_positions", TORCH_BOX(&textnn::ops::text_conv_positions));
  m.impl("embedding_text_conv_positions", TORCH_BOX(&textnn::ops::embedding_text_conv_positions));
  m.impl("text_conv_backward", TORCH_BOX(&textnn::ops::text_conv_backward));
  m.impl("embedding_text_conv", TORCH_BOX(&textnn::ops::embedding_text_conv));
  m.impl("embedding_text_conv_backward", TORCH_BOX(&textnn::ops::embedding_text_conv_backward));
}
