// What the operators of the CRF ask of their arguments, on every device.
#pragma once
#include "ragged.h"

namespace textnn::ops {

// Where the steps of the sequences are: [T, B, K], [B, T, K] or flat [N, K].
struct CrfShape {
  RaggedLayout layout;
  int64_t K, rows, step, longest;  // rows of x; rows between steps; room of a padded sequence

  bool flat() const { return layout == RaggedLayout::kFlat; }
  // x with its sequences in front, to find their lengths.
  Tensor by_sequence(const Tensor& x) const {
    return layout == RaggedLayout::kTimeMajor ? torch::stable::transpose(x, 0, 1) : x;
  }
};

inline CrfShape check_crf(const Tensor& x, const OptionalTensor& tags, const Tensor& start, const Tensor& end,
                          const Tensor& transitions, const std::string& layout) {
  CrfShape s{};
  s.layout = parse_layout(layout);
  STD_TORCH_CHECK(s.layout != RaggedLayout::kPacked, "textnn: layout must be time_major, batch_major or flat");
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Float || x.scalar_type() == ScalarType::Double,
                  "textnn: x must be float32 or float64");
  STD_TORCH_CHECK(x.dim() == (s.flat() ? 2 : 3), "textnn: x must have ", s.flat() ? 2 : 3, " dimensions, got shape ",
                  shape_of(x));
  s.K = x.size(x.dim() - 1);
  STD_TORCH_CHECK(s.K > 0, "textnn: x must have at least one tag, got shape ", shape_of(x));
  s.rows = x.numel() / s.K;
  s.step = s.layout == RaggedLayout::kTimeMajor ? x.size(1) : 1;
  s.longest = s.flat() ? 0 : x.size(s.layout == RaggedLayout::kTimeMajor ? 0 : 1);
  check_shape("start", start, {s.K});
  check_shape("end", end, {s.K});
  check_shape("transitions", transitions, {s.K, s.K});
  check_dtype("start", start, x);
  check_dtype("end", end, x);
  check_dtype("transitions", transitions, x);
  if (tags) {
    std::vector<int64_t> places = leading(x, 0);
    places.pop_back();
    check_shape("tags", *tags, places);
    STD_TORCH_CHECK(tags->scalar_type() == ScalarType::Long, "textnn: tags must be int64");
  }
  return s;
}

inline void check_crf_gradient(const Tensor& dy, const Tensor& alphas, const Tensor& x, int64_t B) {
  check_shape("the gradient", dy, {B});
  check_dtype("the gradient", dy, x);
  std::vector<int64_t> size;
  for (int64_t i = 0; i < x.dim(); ++i) size.push_back(x.size(i));
  check_shape("alphas", alphas, size);
  check_dtype("alphas", alphas, x);
}

inline void check_crf_best(int64_t best, int64_t K) {
  STD_TORCH_CHECK(best >= 1 && best <= (int64_t(1) << 30) / K, "textnn: n_best must be positive and at most 2^30 / ", K,
                  ", got ", best);
}

// [best, ..] with the leading dimensions of x.
inline std::vector<int64_t> crf_paths(const Tensor& x, int64_t best) {
  std::vector<int64_t> size = leading(x, 0);
  size.pop_back();
  size.insert(size.begin(), best);
  return size;
}

}  // namespace textnn::ops
