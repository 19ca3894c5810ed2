// textnn::text_conv, textnn::embedding_text_conv and their backward operators on CUDA.
#include "../text_conv.h"
#include "../../cuda/product.h"
#include "../../cuda/text_conv.h"
#include "check_device.h"
#include "distinct.h"
#include "embedding.h"
#include "sentences.h"

namespace textnn::ops::cuda {
namespace {

using textnn::cuda::Compute;

// The kernels with their table on the device.
class DeviceKernels : public TextConvKernels {
 public:
  DeviceKernels(const Device& device, const Tensors& w, const Tensors& b, const Tensor& x)
      : TextConvKernels(w, b, x), table_(empty(x, {S, 4}, ScalarType::Long)) {
    for (const Tensor& t : w) check_device("weight", t, x);
    for (const Tensor& t : b) check_device("bias", t, x);
    std::vector<int64_t> table;
    for (int64_t i = 0; i < S; ++i) {
      const void* pointers[] = {data<char>(weight[size_t(i)]), data<char>(bias[size_t(i)])};
      table.insert(table.end(), {taps[size_t(i)], all_, int64_t(pointers[0]), int64_t(pointers[1])});
      all_ += taps[size_t(i)];
    }
    textnn::cuda::upload(device.stream, table.data(), int64_t(table.size()), writable<int64_t>(table_));
  }

  textnn::cuda::TextConvSizes sizes(bool same, int64_t activation) const {
    return {S, C, D, all_, data<textnn::cuda::TextConvKernel>(table_), same, activation_of(activation)};
  }
  int64_t columns() const { return all_ * C; }

  // All weights as [taps of all kernels, C, D], which is a matrix [columns, D].
  Tensor laid_out(const Device& device) const {
    Tensor to = empty(table_, {columns(), D}, weight[0].scalar_type());
    dispatch(to, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::lay_out_text_conv<E>(device.stream, sizes(false, 0), writable<E>(to));
    });
    return to;
  }

 private:
  Tensor table_;
  int64_t all_ = 0;
};

// The maxima over the products [rows, columns] of the kernels.
std::tuple<Tensor, Tensor> maxima(const Device& device, const SentenceBounds& bounds, const DeviceKernels& kernels,
                                  const textnn::cuda::TextConvSizes& sizes, const Tensor& like, const int32_t* token,
                                  const Tensor& products, bool save) {
  TextConvOutput out(like, bounds.B, kernels.features, save);
  dispatch(like, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::text_conv_maxima<E>(device.stream, {bounds.sentences(), sizes, token, data<Compute<E>>(products),
                                                      writable<E>(out.y), writable<int32_t>(out.window)});
  });
  return {out.y, out.window};
}

// The products of all positions' vectors [N, D].
Tensor products_of(const Device& device, const Tensor& x, int64_t N, const DeviceKernels& kernels) {
  const Tensor w = kernels.laid_out(device);
  Tensor products = empty(x, {N, kernels.columns()}, compute_type(x));
  if (products.scalar_type() == x.scalar_type()) {
    mm_out(products, torch::stable::view(x, {N, kernels.D}), t(w));
  } else {                        // cuBLAS would round the products of halves to halves
    constexpr bool tf32 = false;  // which is of float32
    dispatch(x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::product<E>(device.stream, {N, nullptr, kernels.columns(), kernels.D, data<E>(x), nullptr,
                                               data<E>(w), writable<Compute<E>>(products), tf32});
    });
  }
  return products;
}

// Those of the distinct tokens of a batch.
Tensor products_of(const Device& device, const Tensor& table, const Distinct& distinct, const DeviceKernels& kernels,
                   bool tf32) {
  const Tensor w = kernels.laid_out(device);
  Tensor products = empty(table, {distinct.most, kernels.columns()}, compute_type(table));
  dispatch(table, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::product<E>(
        device.stream, {distinct.most, data<int32_t>(distinct.count), kernels.columns(), kernels.D, data<E>(table),
                        data<int64_t>(distinct.id), data<E>(w), writable<Compute<E>>(products), tf32});
  });
  return products;
}

// The outputs of all windows over the products. How many a flat batch has follows from its offsets, which are then
// needed on the CPU, unless there is one for each token.
Tensor outputs(const Device& device, const SentenceBounds& bounds, const DeviceKernels& kernels,
               const TextConvPlaces& places, int64_t activation, const Tensor& tokens, const Tensor& like,
               const OptionalTensor& lengths, bool flat, const int32_t* token, const Tensor& products) {
  textnn::cuda::TextConvSizes sizes = kernels.sizes(places.same, activation);
  cpu::TextConvKernelSizes host{kernels.S, kernels.C, kernels.D, kernels.taps.data(), places.same, sizes.activation};
  places.tell(host);
  sizes.every = true;
  sizes.padding = host.padding;
  sizes.stride = host.stride;
  Tensor row = bounds.start;
  std::vector<int64_t> shape{tokens.size(0), kernels.S * kernels.C};
  if (!flat || !places.same || places.stride != 1) {
    STD_TORCH_CHECK(!flat || lengths->is_cpu(),
                    "textnn: offsets must be on the CPU where the number of outputs follows from them");
    const std::vector<int64_t> length =
        flat ? ops::SentenceBounds(tokens, flat, lengths).length : std::vector<int64_t>(size_t(bounds.B), 0);
    const TextConvRows rows(length, host, tokens, flat);
    shape = rows.shape;
    row = empty(tokens, {bounds.B}, ScalarType::Long);
    textnn::cuda::upload(device.stream, rows.first.data(), bounds.B, writable<int64_t>(row));
  }
  Tensor y = empty(like, shape);
  dispatch(like, [&](auto zero) {
    using E = decltype(zero);
    textnn::cuda::text_conv_positions<E>(device.stream, {bounds.sentences(), sizes, token, data<Compute<E>>(products),
                                                         data<int64_t>(row), flat ? 0 : shape[1], writable<E>(y)});
  });
  return y;
}

std::tuple<Tensor, Tensor> text_conv(const Tensor& x_, const Tensors& weight, const Tensors& bias,
                                     const OptionalTensor& lengths, bool flat, bool same, int64_t activation,
                                     std::string precision, bool save) {
  check_precision(precision);
  const Device device(x_);
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const DeviceKernels kernels(device, weight, bias, x);
  const auto sizes = kernels.sizes(same, activation);
  const SentenceBounds bounds(device, x, flat, lengths);
  const int64_t N = flat ? x.size(0) : x.size(0) * x.size(1);
  return maxima(device, bounds, kernels, sizes, x, nullptr, products_of(device, x, N, kernels), save);
}

Tensor text_conv_positions(const Tensor& x_, const Tensors& weight, const Tensors& bias, const OptionalTensor& lengths,
                           bool flat, bool same, int64_t padding, int64_t stride, int64_t activation,
                           std::string precision) {
  check_precision(precision);
  const Device device(x_);
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const DeviceKernels kernels(device, weight, bias, x);
  const TextConvPlaces places(kernels, same, padding, stride);
  const SentenceBounds bounds(device, x, flat, lengths);
  const int64_t N = flat ? x.size(0) : x.size(0) * x.size(1);
  return outputs(device, bounds, kernels, places, activation, x, x, lengths, flat, nullptr,
                 products_of(device, x, N, kernels));
}

std::tuple<Tensor, Tensor> embedding_text_conv(const Tensor& ids_, const Tensor& table_, const Tensors& weight,
                                               const Tensors& bias, const OptionalTensor& lengths, bool flat, bool same,
                                               int64_t activation, std::string precision, int64_t padding_idx,
                                               bool /*sparse*/, bool save, bool tf32, bool /*deterministic*/) {
  check_precision(precision);
  const Device device(table_);
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  check_device("ids", ids_, table_);
  const Tensor ids = compact(ids_), table = compact(table_);
  const DeviceKernels kernels(device, weight, bias, table);
  const auto sizes = kernels.sizes(same, activation);
  const SentenceBounds bounds(device, ids, flat, lengths);
  const Distinct distinct(device, ids, table.size(0));
  return maxima(device, bounds, kernels, sizes, table, data<int32_t>(distinct.token),
                products_of(device, table, distinct, kernels, tf32), save);
}

Tensor embedding_text_conv_positions(const Tensor& ids_, const Tensor& table_, const Tensors& weight,
                                     const Tensors& bias, const OptionalTensor& lengths, bool flat, bool same,
                                     int64_t padding, int64_t stride, int64_t activation, std::string precision,
                                     int64_t padding_idx, bool /*sparse*/, bool tf32) {
  check_precision(precision);
  const Device device(table_);
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  check_device("ids", ids_, table_);
  const Tensor ids = compact(ids_), table = compact(table_);
  const DeviceKernels kernels(device, weight, bias, table);
  const TextConvPlaces places(kernels, same, padding, stride);
  const SentenceBounds bounds(device, ids, flat, lengths);
  const Distinct distinct(device, ids, table.size(0));
  return outputs(device, bounds, kernels, places, activation, ids, table, lengths, flat, data<int32_t>(distinct.token),
                 products_of(device, table, distinct, kernels, tf32));
}

// Both backward operators.
struct Backward : TextConvGradient {
  const DeviceKernels& kernels;
  const SentenceBounds& bounds;
  const textnn::cuda::TextConvSizes sizes;

  Backward(const Tensor& dy_, const Tensor& y_, const Tensor& window_, const DeviceKernels& kernels_,
           const SentenceBounds& bounds_, const textnn::cuda::TextConvSizes& sizes_, const Tensor& like)
      : TextConvGradient(dy_, y_, window_, kernels_, bounds_.B, like),
        kernels(kernels_),
        bounds(bounds_),
        sizes(sizes_) {
    for (const Tensor* t : {&y, &window, &dy}) check_device("the gradient", *t, like);
  }

  template <class E>
  textnn::cuda::TextConvWon<E> won() const {
    return {bounds.sentences(), sizes, data<E>(y), data<int32_t>(window), data<E>(dy)};
  }

  // x: rows of vectors. ids: which of them stand where, or null where every position has its own.
  void to_weights(const Device& device, const Tensor& x, const int64_t* ids) {
    dispatch(x, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::text_conv_dweight<E>(device.stream,
                                         {won<E>(), ids, data<E>(x), writable<E>(dweight), writable<E>(dbias)});
    });
  }

  // dx: of N positions, or of the rows that they are added to.
  void to_positions(const Device& device, int64_t N, const int64_t* row, int64_t padding, Tensor& dx) {
    const Tensor w = kernels.laid_out(device);
    dispatch(dx, [&](auto zero) {
      using E = decltype(zero);
      textnn::cuda::text_conv_dx<E>(device.stream, {won<E>(), N, data<E>(w), row, padding, writable<E>(dx)});
    });
  }
};

std::tuple<Tensor, Tensor, Tensor> text_conv_backward(const Tensor& dy, const Tensor& x_, const Tensors& weight,
                                                      const OptionalTensor& lengths, bool flat, bool same,
                                                      int64_t activation, std::string precision, const Tensor& y,
                                                      const Tensor& window, bool need_dx) {
  check_precision(precision);
  const Device device(x_);
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const DeviceKernels kernels(device, weight, {}, x);
  const SentenceBounds bounds(device, x, flat, lengths);
  Backward b(dy, y, window, kernels, bounds, kernels.sizes(same, activation), x);
  b.to_weights(device, x, nullptr);
  Tensor dx = need_dx ? torch::stable::empty_like(x) : empty(x, {0});
  if (need_dx) b.to_positions(device, flat ? x.size(0) : x.size(0) * x.size(1), nullptr, -1, dx);
  return {dx, b.dweight, b.dbias};
}

// The gradient of the table is made for each position [N, D]. Its rows are added to those of their tokens
//   with atomics      as they are made: one kernel, no sorting, no memory for them
//   in a fixed order  by table_gradient, where results are to be deterministic; where they are sparse, which takes the
//                     tokens in order anyway; and where elements are halves, which must be added in float32
std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_text_conv_backward(
    const Tensor& dy, const Tensor& ids_, const Tensor& table_, const Tensors& weight, const OptionalTensor& lengths,
    bool flat, bool same, int64_t activation, std::string precision, const Tensor& y, const Tensor& window,
    int64_t padding_idx, bool sparse, bool need_dtable, bool deterministic) {
  check_precision(precision);
  const Device device(table_);
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  check_padding_idx(padding_idx, table_.size(0));
  check_device("ids", ids_, table_);
  check_number_of(ids_);
  const Tensor ids = compact(ids_), table = compact(table_);
  const DeviceKernels kernels(device, weight, {}, table);
  const SentenceBounds bounds(device, ids, flat, lengths);
  const int64_t N = ids.numel(), V = table.size(0), D = table.size(1);
  textnn::cuda::check_ids(device.stream, data<int64_t>(ids), N, V);
  Backward b(dy, y, window, kernels, bounds, kernels.sizes(same, activation), table);
  b.to_weights(device, table, data<int64_t>(ids));
  TableGradient gradient{empty(table, {0, D}), empty(ids, {0})};
  if (need_dtable && (sparse || deterministic || compute_type(table) != table.scalar_type())) {
    Tensor positions = empty(table, {N, D});
    b.to_positions(device, N, nullptr, -1, positions);
    gradient = table_gradient(device, positions, ids, V, padding_idx, sparse);
  } else if (need_dtable) {
    gradient.dtable = torch::stable::new_zeros(table, {V, D});
    b.to_positions(device, N, data<int64_t>(ids), padding_idx, gradient.dtable);
  }
  if (!need_dtable) gradient.dtable = empty(table, {0, D});
  return {gradient.dtable, gradient.distinct, b.dweight, b.dbias};
}

}  // namespace
}  // namespace textnn::ops::cuda

STABLE_TORCH_LIBRARY_IMPL(textnn, TEXTNN_CUDA_KEY, m) {
  m.impl("text_conv", TORCH_BOX(&textnn::ops::cuda::text_conv));
  m.impl("text_conv_positions", TORCH_BOX(&textnn::ops::cuda::text_conv_positions));
  m.impl("embedding_text_conv_positions", TORCH_BOX(&textnn::ops::cuda::embedding_text_conv_positions));
  m.impl("text_conv_backward", TORCH_BOX(&textnn::ops::cuda::text_conv_backward));
  m.impl("embedding_text_conv", TORCH_BOX(&textnn::ops::cuda::embedding_text_conv));
  m.impl("embedding_text_conv_backward", TORCH_BOX(&textnn::ops::cuda::embedding_text_conv_backward));
}
