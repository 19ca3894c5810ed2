#include "ragged.h"
#include <algorithm>
#include <numeric>

namespace textnn::ops {
namespace {

// Before anything is made of a size: arrays have an element for each sequence and step.
void check_size(const char* name, int64_t size) {
  STD_TORCH_CHECK(size <= kMostCounted, "textnn: a batch may have at most ", kMostCounted, " ", name, ", got ", size);
}

void check_lengths(const std::vector<int64_t>& lengths, int64_t B, int64_t T) {
  STD_TORCH_CHECK(int64_t(lengths.size()) == B, "textnn: lengths must have ", B, " elements, got ", lengths.size());
  for (int64_t b = 0; b < B; ++b)
    STD_TORCH_CHECK(lengths[b] >= 0 && lengths[b] <= T, "textnn: lengths must lie between 0 and ", T, ", got ",
                    lengths[b], " for sequence ", b);
}

// Lengths from the offsets of N tokens.
std::vector<int64_t> check_offsets(const std::vector<int64_t>& offsets, int64_t B, int64_t N) {
  STD_TORCH_CHECK(int64_t(offsets.size()) == B, "textnn: offsets must have ", B, " elements, got ", offsets.size());
  STD_TORCH_CHECK(B > 0 ? offsets[0] == 0 : N == 0, "textnn: offsets must begin with 0");
  std::vector<int64_t> lengths(B);
  for (int64_t b = 0; b < B; ++b) {
    STD_TORCH_CHECK(offsets[b] >= 0 && offsets[b] <= (b + 1 < B ? offsets[b + 1] : N),
                    "textnn: offsets must rise and stay within ", N, " tokens, got ", offsets[b], " for sequence ", b);
    lengths[b] = (b + 1 < B ? offsets[b + 1] : N) - offsets[b];
  }
  return lengths;
}

}  // namespace

std::vector<int64_t> to_vector(const char* name, const Tensor& t) {
  STD_TORCH_CHECK(t.scalar_type() == ScalarType::Long && t.dim() == 1, "textnn: ", name,
                  " must be an int64 tensor of one dimension, got shape ", shape_of(t));
  const torch::stable::Device cpu(torch::headeronly::DeviceType::CPU);
  const Tensor c = compact(t.is_cpu() ? t : torch::stable::to(t, cpu));
  const int64_t* p = t.numel() ? c.const_data_ptr<int64_t>() : nullptr;
  return std::vector<int64_t>(p, p + t.numel());
}

RaggedLayout parse_layout(const std::string& name) {
  if (name == "time_major") return RaggedLayout::kTimeMajor;
  if (name == "batch_major") return RaggedLayout::kBatchMajor;
  if (name == "flat") return RaggedLayout::kFlat;
  STD_TORCH_CHECK(name == "packed", "textnn: layout must be time_major, batch_major, flat or packed, got ", name);
  return RaggedLayout::kPacked;
}

Ragged::Ragged(const Tensor& x, const OptionalTensor& sizes, const std::string& layout, int64_t B)
    : layout_(parse_layout(layout)), B_(B) {
  check_size("sequences", B);
  const bool padded = layout_ == RaggedLayout::kTimeMajor || layout_ == RaggedLayout::kBatchMajor;
  STD_TORCH_CHECK(padded || sizes.has_value(), "textnn: layout ", layout, " needs offsets or batch sizes");
  std::vector<int64_t> lengths;  // in the caller's order
  if (padded) {
    const bool time_major = layout_ == RaggedLayout::kTimeMajor;
    T_ = x.size(time_major ? 0 : 1);
    STD_TORCH_CHECK(x.size(time_major ? 1 : 0) == B, "textnn: the input has ", x.size(time_major ? 1 : 0),
                    " sequences, the initial states have ", B);
    check_size("steps", T_);
    rows_ = product("the sequences times the steps of a batch", {B, T_});
    lengths = sizes ? to_vector("lengths", *sizes) : std::vector<int64_t>(B, T_);
    check_lengths(lengths, B, T_);
  } else if (layout_ == RaggedLayout::kFlat) {
    rows_ = x.size(0);
    start_ = to_vector("offsets", *sizes);
    lengths = check_offsets(start_, B, rows_);
  } else {
    rows_ = x.size(0);
    batch_size_ = to_vector("batch_sizes", *sizes);
    lengths.assign(B, 0);
    for (size_t t = 0; t < batch_size_.size(); ++t) {
      STD_TORCH_CHECK(batch_size_[t] >= 0 && batch_size_[t] <= (t ? batch_size_[t - 1] : B),
                      "textnn: batch_sizes must fall and be at most ", B, ", got ", batch_size_[t], " at step ", t);
      for (int64_t b = 0; b < batch_size_[t]; ++b) ++lengths[b];
    }
  }
  T_ = B ? *std::max_element(lengths.begin(), lengths.end()) : 0;
  sequence_.resize(B);
  std::iota(sequence_.begin(), sequence_.end(), 0);
  if (!std::is_sorted(lengths.begin(), lengths.end(), std::greater<>()))
    std::stable_sort(sequence_.begin(), sequence_.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  for (const int64_t b : sequence_) length_.push_back(lengths[b]);
  batch_size_.assign(T_, 0);
  for (int64_t b = B - 1, t = 0; t < T_; ++t) {
    while (b >= 0 && length_[b] <= t) --b;
    batch_size_[t] = b + 1;
  }
  for (int64_t t = 0; t < T_; ++t) {
    first_row_.push_back(N_);
    N_ += batch_size_[t];
  }
  STD_TORCH_CHECK(layout_ != RaggedLayout::kPacked || N_ == rows_, "textnn: batch_sizes must sum to the ", rows_,
                  " rows of the input, got ", N_);
}

cpu::Schedule Ragged::schedule(bool reverse) const {
  return {B_, T_, N_, sequence_.data(), length_.data(), batch_size_.data(), first_row_.data(), reverse};
}

Ragged::Offsets Ragged::offsets(const Tensor& t) const {
  Offsets o;
  const bool time_major = layout_ == RaggedLayout::kTimeMajor, batch_major = layout_ == RaggedLayout::kBatchMajor;
  for (int64_t b = 0; b < B_; ++b) {
    const int64_t q = sequence_[b];
    o.sequence.push_back(time_major    ? q * t.stride(1)
                         : batch_major ? q * t.stride(0)
                                       : (layout_ == RaggedLayout::kFlat ? start_[q] : q) * t.stride(0));
  }
  for (int64_t s = 0; s < T_; ++s)
    o.step.push_back(batch_major                        ? s * t.stride(1)
                     : layout_ == RaggedLayout::kPacked ? first_row_[s] * t.stride(0)
                                                        : s * t.stride(0));
  return o;
}

int64_t check_sentences(const Tensor& tokens, bool flat) {
  check_size("sentences", flat ? 0 : tokens.size(0));
  check_size("tokens", tokens.size(flat ? 0 : 1));
  return flat ? tokens.size(0) : product("the tokens of a batch", {tokens.size(0), tokens.size(1)}, kMostCounted);
}

SentenceBounds::SentenceBounds(const Tensor& tokens, bool flat, const OptionalTensor& sizes)
    : positions(check_sentences(tokens, flat)) {
  if (flat) {
    STD_TORCH_CHECK(sizes.has_value(), "textnn: flat tokens need offsets");
    start = to_vector("offsets", *sizes);
    length = check_offsets(start, int64_t(start.size()), tokens.size(0));
  } else {
    const int64_t B = tokens.size(0), L = tokens.size(1);
    length = sizes ? to_vector("lengths", *sizes) : std::vector<int64_t>(B, L);
    check_lengths(length, B, L);
    for (int64_t b = 0; b < B; ++b) start.push_back(b * L);
  }
}

}  // namespace textnn::ops
