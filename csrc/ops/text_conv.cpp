// textnn::text_conv, textnn::embedding_text_conv and their backward operators.
#include "../cpu/text_conv.h"
#include "distinct.h"
#include "ragged.h"

namespace textnn::ops {
namespace {

// The sizes of the kernels, from weights [C, D, K].
struct Kernels {
  Tensors weight;
  std::vector<OptionalTensor> bias;  // one for each kernel
  std::vector<int64_t> taps;
  int64_t S, C, D;

  Kernels(const Tensors& w, const Tensors& b, const Tensor& x) : S(int64_t(w.size())) {
    STD_TORCH_CHECK(S > 0, "textnn: weight must hold at least one tensor");
    STD_TORCH_CHECK(b.empty() || b.size() == w.size(), "textnn: bias must be empty or hold ", S, " tensors, got ",
                    b.size());
    D = x.size(x.dim() - 1);
    C = w[0].dim() == 3 ? w[0].size(0) : -1;
    for (const Tensor& t : w) {
      check_shape("weight", t, {C, D, -1});
      check_dtype("weight", t, x);
      STD_TORCH_CHECK(t.size(2) > 0, "textnn: weight must have at least one tap");
      weight.push_back(compact(t));
      taps.push_back(t.size(2));
    }
    for (const Tensor& t : b) {
      check_shape("bias", t, {C});
      check_dtype("bias", t, x);
      bias.push_back(compact(t));
    }
    bias.resize(S);
  }

  cpu::TextConvKernelSizes sizes(bool same, int64_t activation) const {
    STD_TORCH_CHECK(activation >= 0 && activation <= 2, "textnn: activation must be 0, 1 or 2, got ", activation);
    return {S, C, D, taps.data(), same, math::Activation(int(activation))};
  }
  int64_t weights() const {
    int64_t n = 0;
    for (const Tensor& t : weight) n += t.numel();
    return n;
  }
  template <class T>
  std::vector<const T*> weight_pointers() const {
    std::vector<const T*> p;
    for (const Tensor& t : weight) p.push_back(t.const_data_ptr<T>());
    return p;
  }
  template <class T>
  std::vector<const T*> bias_pointers() const {
    std::vector<const T*> p;
    for (const OptionalTensor& t : bias) p.push_back(pointer<T>(t));
    return p;
  }
  // [C, K, D] for each kernel in turn.
  template <class T>
  std::vector<T> weight_taps() const {
    std::vector<T> out(static_cast<size_t>(weights()));
    T* to = out.data();
    for (int64_t i = 0; i < S; ++i) {
      const T* from = weight[i].const_data_ptr<T>();
      for (int64_t c = 0; c < C; ++c, from += D * taps[i])
        for (int64_t k = 0; k < taps[i]; ++k)
          for (int64_t d = 0; d < D; ++d) *to++ = from[d * taps[i] + k];
    }
    return out;
  }
};

cpu::Sentences sentences(const SentenceBounds& bounds) {
  return {int64_t(bounds.start.size()), bounds.start.data(), bounds.length.data()};
}

struct Output {
  Tensor y, window;
  Output(const Tensor& like, int64_t B, int64_t columns, bool save)
      : y(empty(like, {B, columns})),
        window(torch::stable::new_empty(like, {save ? B : 0, columns}, ScalarType::Int)) {}
};

void check_tokens(const char* name, const Tensor& t, int64_t dims) {
  STD_TORCH_CHECK(t.dim() == dims, "textnn: ", name, " must have ", dims, " dimensions, got shape ", shape_of(t));
}

std::tuple<Tensor, Tensor> text_conv(const Tensor& x_, const Tensors& weight, const Tensors& bias,
                                     const OptionalTensor& sizes, bool flat, bool same, int64_t activation, bool save) {
  check_tokens("x", x_, flat ? 2 : 3);
  const Tensor x = compact(x_);
  const Kernels kernels(weight, bias, x);
  const SentenceBounds bounds(x, flat, sizes);
  Output out(x, int64_t(bounds.start.size()), kernels.S * kernels.C, save);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const auto w = kernels.weight_pointers<T>(), b = kernels.bias_pointers<T>();
    cpu::text_conv_forward<T>(
        torch_threads(), {sentences(bounds), kernels.sizes(same, activation), x.const_data_ptr<T>(), w.data(), b.data(),
                          writable<T>(out.y), writable<int32_t>(out.window)});
  });
  return {out.y, out.window};
}

std::tuple<Tensor, Tensor> embedding_text_conv(const Tensor& ids_, const Tensor& table_, const Tensors& weight,
                                               const Tensors& bias, const OptionalTensor& sizes, bool flat, bool same,
                                               int64_t activation, int64_t /*padding_idx*/, bool /*sparse*/,
                                               bool save) {
  check_tokens("ids", ids_, flat ? 1 : 2);
  check_tokens("table", table_, 2);
  const Tensor ids = compact(ids_), table = compact(table_);
  const Kernels kernels(weight, bias, table);
  const SentenceBounds bounds(ids, flat, sizes);
  const Distinct distinct(ids, table.size(0));
  Output out(table, int64_t(bounds.start.size()), kernels.S * kernels.C, save);
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    const auto w = kernels.weight_pointers<T>(), b = kernels.bias_pointers<T>();
    cpu::embedding_text_conv_forward<T>(
        torch_threads(),
        {sentences(bounds), kernels.sizes(same, activation), distinct.U, distinct.id.data(), distinct.token.data(),
         table.const_data_ptr<T>(), w.data(), b.data(), writable<T>(out.y), writable<int32_t>(out.window)});
  });
  return {out.y, out.window};
}

// Common to both backward operators: checks, and the gradients of the weights.
struct Backward {
  const Tensor y, window, dy;
  Tensor dweight_taps, dbias;

  Backward(const Tensor& dy_, const Tensor& y_, const Tensor& window_, const Kernels& kernels, int64_t B,
           const Tensor& like)
      : y(compact(y_)),
        window(compact(window_)),
        dy(compact(dy_)),
        dweight_taps(empty(like, {kernels.weights()})),
        dbias(empty(like, {kernels.S, kernels.C})) {
    for (const Tensor* t : {&y, &window, &dy}) check_shape("the gradient", *t, {B, kernels.S * kernels.C});
    check_dtype("the gradient", dy, like);
  }
};

std::tuple<Tensor, Tensor, Tensor> text_conv_backward(const Tensor& dy, const Tensor& x_, const Tensors& weight,
                                                      const OptionalTensor& sizes, bool flat, bool same,
                                                      int64_t activation, const Tensor& y, const Tensor& window,
                                                      bool need_dx) {
  const Tensor x = compact(x_);
  const Kernels kernels(weight, {}, x);
  const SentenceBounds bounds(x, flat, sizes);
  Backward b(dy, y, window, kernels, int64_t(bounds.start.size()), x);
  Tensor dx = need_dx ? torch::stable::empty_like(x) : empty(x, {0});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const auto taps = kernels.weight_taps<T>();
    cpu::text_conv_backward<T>(
        torch_threads(), {sentences(bounds), kernels.sizes(same, activation), x.const_data_ptr<T>(), nullptr,
                          x.numel() / std::max<int64_t>(1, kernels.D), nullptr, taps.data(), b.y.const_data_ptr<T>(),
                          b.window.const_data_ptr<int32_t>(), b.dy.const_data_ptr<T>(), writable<T>(dx),
                          writable<T>(b.dweight_taps), writable<T>(b.dbias)});
  });
  return {dx, b.dweight_taps, b.dbias};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_text_conv_backward(const Tensor& dy, const Tensor& ids_,
                                                                        const Tensor& table_, const Tensors& weight,
                                                                        const OptionalTensor& sizes, bool flat,
                                                                        bool same, int64_t activation, const Tensor& y,
                                                                        const Tensor& window, int64_t padding_idx,
                                                                        bool sparse, bool need_dtable) {
  const Tensor ids = compact(ids_), table = compact(table_);
  const Kernels kernels(weight, {}, table);
  const SentenceBounds bounds(ids, flat, sizes);
  const Distinct distinct(ids, table.size(0), sparse);
  const int64_t V = table.size(0), D = table.size(1), N = distinct.N;
  Backward b(dy, y, window, kernels, int64_t(bounds.start.size()), table);
  const int64_t* id = N ? ids.const_data_ptr<int64_t>() : nullptr;
  const std::vector<int64_t> token(distinct.token.begin(), distinct.token.end());

  Tensor rows = torch::stable::new_empty(ids, {sparse ? distinct.U : 0});
  if (sparse) std::copy(distinct.id.begin(), distinct.id.begin() + distinct.U, writable<int64_t>(rows));
  Tensor dtable = need_dtable ? pooled(table, {sparse ? distinct.U : V, D}) : empty(table, {0, D});
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    const auto taps = kernels.weight_taps<T>();
    T* dx = writable<T>(dtable);
    cpu::text_conv_backward<T>(
        torch_threads(),
        {sentences(bounds), kernels.sizes(same, activation), table.const_data_ptr<T>(), id, dtable.size(0),
         sparse ? token.data() : id, taps.data(), b.y.const_data_ptr<T>(), b.window.const_data_ptr<int32_t>(),
         b.dy.const_data_ptr<T>(), dx, writable<T>(b.dweight_taps), writable<T>(b.dbias)});
    for (int64_t r = 0; dx && r < dtable.size(0); ++r) {
      if ((sparse ? distinct.id[r] : r) == padding_idx) std::fill(dx + r * D, dx + (r + 1) * D, T(0));
    }
  });
  return {dtable, rows, b.dweight_taps, b.dbias};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) {
  m.impl("text_conv", TORCH_BOX(&textnn::ops::text_conv));
  m.impl("text_conv_backward", TORCH_BOX(&textnn::ops::text_conv_backward));
  m.impl("embedding_text_conv", TORCH_BOX(&textnn::ops::embedding_text_conv));
  m.impl("embedding_text_conv_backward", TORCH_BOX(&textnn::ops::embedding_text_conv_backward));
}
