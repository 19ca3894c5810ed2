// What the operators of the text convolution on every device share: checks of their arguments, shapes of their results.
#pragma once
#include "../cpu/text_conv.h"
#include "../math/activation.h"
#include "tensors.h"

namespace textnn::ops {

// The sizes of the kernels, from weights [C, D, K].
struct TextConvKernels {
  Tensors weight;
  std::vector<OptionalTensor> bias;  // one for each kernel
  std::vector<int64_t> taps;
  int64_t S, C, D, features;  // features: S * C

  TextConvKernels(const Tensors& w, const Tensors& b, const Tensor& x) : S(int64_t(w.size())) {
    STD_TORCH_CHECK(S > 0, "textnn: weight must hold at least one tensor");
    STD_TORCH_CHECK(b.empty() || b.size() == w.size(), "textnn: bias must be empty or hold ", S, " tensors, got ",
                    b.size());
    D = x.size(x.dim() - 1);
    C = w[0].dim() == 3 ? w[0].size(0) : -1;
    int64_t all = 0;
    for (const Tensor& t : w) {
      check_shape("weight", t, {C, D, -1});
      check_dtype("weight", t, x);
      STD_TORCH_CHECK(t.size(2) > 0, "textnn: weight must have at least one tap");
      all += product("the channels times the taps of weight", {C, t.size(2)}, kMostCounted);
      weight.push_back(compact(t));
      taps.push_back(t.size(2));
    }
    STD_TORCH_CHECK(all <= kMostCounted, "textnn: the channels times the taps of weight must not exceed ", kMostCounted,
                    ", got ", all);
    features = product("the channels of all of weight", {S, C}, kMostCounted);
    for (const Tensor& t : b) {
      check_shape("bias", t, {C});
      check_dtype("bias", t, x);
      bias.push_back(compact(t));
    }
    bias.resize(S);
  }

  int64_t weights() const {
    int64_t n = 0;
    for (const Tensor& t : weight) n += t.numel();
    return n;
  }
};

struct TextConvOutput {
  Tensor y;       // [B, S * C]
  Tensor window;  // [B, S * C] int32, or [0, S * C]
  TextConvOutput(const Tensor& like, int64_t B, int64_t columns, bool save)
      : y(empty(like, {B, columns})),
        window(torch::stable::new_empty(like, {save ? B : 0, columns}, ScalarType::Int)) {}
};

// Which windows are outputs of their own, where no maximum is taken.
struct TextConvPlaces {
  bool same;
  int64_t padding, stride;

  TextConvPlaces(const TextConvKernels& kernels, bool same_, int64_t padding_, int64_t stride_)
      : same(same_), padding(same_ ? 0 : padding_), stride(stride_) {
    STD_TORCH_CHECK(padding_ >= 0 && padding_ < (int64_t(1) << 31), "textnn: padding must lie in [0, 2147483648), got ",
                    padding_);
    STD_TORCH_CHECK(stride >= 1, "textnn: stride must be at least 1, got ", stride);
    for (const int64_t K : kernels.taps)
      STD_TORCH_CHECK(same || K == kernels.taps[0], "textnn: without same padding kernels must be equally wide, got ",
                      kernels.taps[0], " and ", K, " taps");
  }
  void tell(cpu::TextConvKernelSizes& sizes) const {
    sizes.every = true;
    sizes.padding = padding;
    sizes.stride = stride;
  }
};

// The first row of the output of each sentence, and its shape.
struct TextConvRows {
  std::vector<int64_t> first, shape;

  TextConvRows(const std::vector<int64_t>& length, const cpu::TextConvKernelSizes& sizes, const Tensor& tokens,
               bool flat) {
    const int64_t B = int64_t(length.size()), longest = flat ? 0 : sizes.windows(0, tokens.size(1));
    int64_t rows = 0;
    for (int64_t b = 0; b < B; ++b) {
      first.push_back(flat ? rows : b * longest);
      rows += flat ? sizes.windows(0, length[size_t(b)]) : longest;
    }
    if (flat)
      shape = {rows, sizes.S * sizes.C};
    else
      shape = {B, longest, sizes.S * sizes.C};
  }
};

inline void check_tokens(const char* name, const Tensor& t, int64_t dims) {
  STD_TORCH_CHECK(t.dim() == dims, "textnn: ", name, " must have ", dims, " dimensions, got shape ", shape_of(t));
}

// "bf16": products multiply bfloat16, of float32 tensors on the CPU. On CUDA the tensors' own dtype decides.
inline void check_precision(const std::string& precision) {
  STD_TORCH_CHECK(precision == "ieee" || precision == "bf16", "textnn: precision must be ieee or bf16, got ",
                  precision);
}

inline math::Activation activation_of(int64_t number) {
  STD_TORCH_CHECK(number >= 0 && number <= 2, "textnn: activation must be 0, 1 or 2, got ", number);
  return math::Activation(int(number));
}

// What the backward operators read and write beside the tokens.
struct TextConvGradient {
  const Tensor y, window, dy;
  Tensor dweight, dbias;

  TextConvGradient(const Tensor& dy_, const Tensor& y_, const Tensor& window_, const TextConvKernels& kernels,
                   int64_t B, const Tensor& like)
      : y(compact(y_)),
        window(compact(window_)),
        dy(compact(dy_)),
        dweight(torch::stable::new_empty(like, {kernels.weights()})),
        dbias(torch::stable::new_empty(like, {kernels.S, kernels.C})) {
    const std::vector<int64_t> shape{B, kernels.features};
    check_shape("the gradient", dy, shape);
    check_shape("y", y, shape);
    check_shape("window, which the forward pass makes with save=True,", window, shape);
    check_dtype("the gradient", dy, like);
    check_dtype("y", y, like);
    check_dtype("window", window, ScalarType::Int);
  }
};

}  // namespace textnn::ops
