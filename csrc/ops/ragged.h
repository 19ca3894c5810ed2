// The four ways in which a ragged batch of vectors may lie in a tensor, and how they become a Schedule.
//
//   layout          tensor        sizes                                              sequence b, step t is
//   time_major      [T, B, ...]   lengths [B], or none: all T                        [t, b]
//   batch_major     [B, T, ...]   lengths [B], or none: all T                        [b, t]
//   flat            [N, ...]      offsets [B] (torch.nn.EmbeddingBag's convention)   [offsets[b] + t]
//   packed          [N, ...]      batch_sizes [T] (torch.nn.utils.rnn.PackedSequence)  [sum of batch_sizes before t +
//   b]
#pragma once
#include "../cpu/schedule.h"
#include "../cpu/sentences.h"
#include "tensors.h"

namespace textnn::ops {

enum class RaggedLayout { kTimeMajor, kBatchMajor, kFlat, kPacked };
RaggedLayout parse_layout(const std::string& name);

// Owns the arrays that a cpu::Schedule points to.
class Ragged {
 public:
  // Of the leading dimensions of x. B: how many sequences the initial states say there are.
  Ragged(const Tensor& x, const OptionalTensor& sizes, const std::string& layout, int64_t B);

  cpu::Schedule schedule(bool reverse) const;
  int64_t steps() const { return N_; }  // the sum of the lengths
  // Where the vectors of t stand, a tensor with the leading dimensions of x and any strides for these.
  struct Offsets {
    std::vector<int64_t> sequence, step;
    cpu::Layout layout() const { return {sequence.data(), step.data()}; }
  };
  Offsets offsets(const Tensor& t) const;
  // Whether the tensor has vectors that belong to no sequence.
  bool has_padding() const { return rows_ != N_; }

 private:
  RaggedLayout layout_;
  int64_t B_, T_, N_ = 0, rows_;
  std::vector<int64_t> start_;  // flat: offsets in the caller's order
  std::vector<int64_t> sequence_, length_, batch_size_, first_row_;
};

// How many positions a batch of tokens has; an error where there are too many to count them in 32 bits.
int64_t check_sentences(const Tensor& tokens, bool flat);

// Start and length of each sentence in a batch of tokens: ids or vectors [B, L, ...] with lengths, or [N, ...] with
// offsets.
struct SentenceBounds {
  int64_t positions;  // B * L, or N
  std::vector<int64_t> start, length;
  SentenceBounds(const Tensor& tokens, bool flat, const OptionalTensor& sizes);
  cpu::Sentences sentences() const { return {int64_t(start.size()), start.data(), length.data()}; }
};

// An int64 tensor's values; anything else is an error that names it.
std::vector<int64_t> to_vector(const char* name, const Tensor& t);

}  // namespace textnn::ops
