// textnn::quantized_lstm, one layer and direction over a ragged batch with weights of 8 bits; inference only.
#include "../cpu/quantized_lstm.h"
#include <cstdlib>
#include "ragged.h"

namespace textnn::ops {
namespace {

std::tuple<Tensor, Tensor, Tensor> quantized_lstm(const Tensor& x_, const Tensor& h0_, const Tensor& c0_,
                                                  const Tensor& weight_, const Tensor& scale_, const Tensor& sum_,
                                                  const Tensor& bias_, const OptionalTensor& sizes, std::string layout,
                                                  bool reverse, bool outputs) {
  const RaggedLayout kind = parse_layout(layout);
  const int64_t dims = kind == RaggedLayout::kFlat || kind == RaggedLayout::kPacked ? 2 : 3;
  STD_TORCH_CHECK(x_.dim() == dims, "textnn: x must have ", dims, " dimensions, got shape ", shape_of(x_));
  const Tensor x = with_contiguous_vectors(x_), h0 = compact(h0_), c0 = compact(c0_), weight = compact(weight_),
               scale = compact(scale_), sum = compact(sum_), bias = compact(bias_);
  check_shape("h0", h0, {-1, -1});
  const int64_t B = h0.size(0), H = h0.size(1), I = x.size(dims - 1);
  check_shape("c0", c0, {B, H});
  // 32 bits hold the sums of as many products of bytes.
  STD_TORCH_CHECK(H > 0 && H <= 65536 && I <= 65536, "textnn: an LSTM with weights of 8 bits must have between 1 and ",
                  "65536 hidden units and at most 65536 inputs, got ", H, " and ", I);
  check_shape("weight", weight,
              {cpu::quantized_panels(H), cpu::quantized_groups(I) + cpu::quantized_groups(H), 4, cpu::kQuantizedUnits,
               cpu::kQuantizedGroup});
  check_shape("scale", scale, {2, 4 * H});
  check_shape("sum", sum, {2, 4 * H});
  check_shape("bias", bias, {4 * H});
  for (const Tensor* t : {&x, &h0, &c0, &scale, &bias})
    STD_TORCH_CHECK(t->scalar_type() == ScalarType::Float, "textnn: x, states, scale and bias must be float32");
  check_dtype("weight", weight, ScalarType::Char);
  check_dtype("sum", sum, ScalarType::Int);
  constexpr int32_t kMostSum = 128 * 65536;
  for (int64_t i = 0; i < sum.numel(); ++i)
    STD_TORCH_CHECK(std::abs(int64_t(sum.const_data_ptr<int32_t>()[i])) <= kMostSum, "textnn: sum must lie between -",
                    kMostSum, " and ", kMostSum, ", got ", sum.const_data_ptr<int32_t>()[i]);
  const Ragged ragged(x, sizes, layout, B);
  Tensor y = outputs ? pooled(x, leading(x, H)) : empty(x, {0});
  if (outputs && ragged.has_padding()) torch::stable::zero_(y);
  Tensor h_n = torch::stable::empty_like(h0), c_n = torch::stable::empty_like(c0);
  const auto x_offsets = ragged.offsets(x);
  const auto y_offsets = outputs ? ragged.offsets(y) : Ragged::Offsets{};
  cpu::quantized_lstm(torch_threads(),
                      {ragged.schedule(reverse), I, H, x.const_data_ptr<float>(), x_offsets.layout(),
                       h0.const_data_ptr<float>(), c0.const_data_ptr<float>(), weight.const_data_ptr<int8_t>(),
                       scale.const_data_ptr<float>(), sum.const_data_ptr<int32_t>(), bias.const_data_ptr<float>(),
                       writable<float>(y), y_offsets.layout(), writable<float>(h_n), writable<float>(c_n)});
  return {y, h_n, c_n};
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CPU, m) { m.impl("quantized_lstm", TORCH_BOX(&textnn::ops::quantized_lstm)); }
