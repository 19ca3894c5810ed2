// A ragged batch of steps on the device, from sizes that the caller has on either side.
#pragma once
#include "../../cuda/schedule.h"
#include "../ragged.h"
#include "sentences.h"

namespace textnn::ops::cuda {

class DeviceSchedule {
 public:
  // positions: the input's leading dimensions, as ops::Ragged. Sizes on the device are not looked at here: only bounds
  // are known then, and one that is out of range stops the kernel that reads it.
  DeviceSchedule(const Device& device, const Tensor& positions, const OptionalTensor& sizes, const std::string& layout,
                 int64_t B);

  textnn::cuda::Schedule schedule() const;
  // Where the vectors of t stand, a tensor with the leading dimensions of the positions.
  textnn::cuda::Layout layout(const Tensor& t) const;

  int64_t T() const { return T_; }
  int64_t rows() const { return rows_; }
  // Whether rows() is how many there are, not only a bound.
  bool exact() const { return exact_; }
  // Whether the tensor may have vectors that belong to no sequence.
  bool has_padding() const { return !exact_ || rows_ != positions_; }
  // How many sequences are active at each of T() steps, at most. Flat vectors whose offsets are on the device may have
  // as many steps as vectors: rather than make them all, this waits for the device, unless the stream is being
  // captured.
  std::vector<int64_t> active(const Device& device) const;
  // Whether the vectors of t stand in packed order already.
  bool is_packed(const Tensor& t) const { return in_order_ && t.is_contiguous(); }

 private:
  void from_host(const Device& device, const Tensor& positions, const OptionalTensor& sizes, const std::string& layout);
  void from_device(const Device& device, const Tensor& positions, const Tensor& sizes);

  RaggedLayout kind_;
  int64_t B_, T_ = 0, rows_ = 0, positions_ = 0;
  bool exact_ = true, in_order_;
  std::vector<int64_t> batch_size_;  // where the host knows them
  Tensor arrays_;                    // int64: owns what follows
  OptionalTensor start_, sorted_, place_;
  const int64_t *sequence_ = nullptr, *length_ = nullptr, *batch_size_on_device_ = nullptr, *first_row_ = nullptr;
};

}  // namespace textnn::ops::cuda
