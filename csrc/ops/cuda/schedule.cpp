#include "schedule.h"

namespace textnn::ops::cuda {

DeviceSchedule::DeviceSchedule(const Device& device, const Tensor& positions, const OptionalTensor& sizes,
                               const std::string& layout, int64_t B)
    : kind_(parse_layout(layout)),
      B_(B),
      in_order_(kind_ == RaggedLayout::kPacked || (kind_ == RaggedLayout::kTimeMajor && !sizes)),
      arrays_(empty(positions, {0}, ScalarType::Long)) {
  const bool padded = kind_ == RaggedLayout::kTimeMajor || kind_ == RaggedLayout::kBatchMajor;
  positions_ = padded ? positions.size(0) * positions.size(1) : positions.size(0);
  if (kind_ == RaggedLayout::kFlat && sizes) start_ = sizes_on_device(device, "offsets", *sizes, positions);
  if (!sizes || on_host(*sizes))
    from_host(device, positions, sizes, layout);
  else
    from_device(device, positions, *sizes);
}

void DeviceSchedule::from_host(const Device& device, const Tensor& positions, const OptionalTensor& sizes,
                               const std::string& layout) {
  const Ragged ragged(positions, sizes, layout, B_);
  const cpu::Schedule s = ragged.schedule(false);
  T_ = s.T;
  rows_ = s.N;
  batch_size_.assign(s.batch_size, s.batch_size + T_);
  std::vector<int64_t> all(s.sequence, s.sequence + B_);
  all.insert(all.end(), s.length, s.length + B_);
  all.insert(all.end(), s.batch_size, s.batch_size + T_);
  all.insert(all.end(), s.first_row, s.first_row + T_);
  all.push_back(s.N);
  arrays_ = empty(positions, {int64_t(all.size())}, ScalarType::Long);
  textnn::cuda::upload(device.stream, all.data(), int64_t(all.size()), writable<int64_t>(arrays_));
  sequence_ = data<int64_t>(arrays_);
  length_ = sequence_ + B_;
  batch_size_on_device_ = length_ + B_;
  first_row_ = batch_size_on_device_ + T_;
}

void DeviceSchedule::from_device(const Device& device, const Tensor& positions, const Tensor& sizes) {
  using textnn::cuda::LengthsOf;
  const Tensor given = sizes_on_device(device, "sizes", sizes, positions);
  const bool packed = kind_ == RaggedLayout::kPacked, flat = kind_ == RaggedLayout::kFlat;
  T_ = packed ? sizes.numel() : positions.size(kind_ == RaggedLayout::kBatchMajor ? 1 : 0);
  rows_ = positions_;
  exact_ = packed || flat;
  STD_TORCH_CHECK(packed || sizes.numel() == B_, "textnn: sizes must have ", B_, " elements, got ", sizes.numel());
  if (!packed && !flat)
    STD_TORCH_CHECK(positions_ == B_ * T_, "textnn: the input must have ", B_, " sequences, got shape ",
                    shape_of(positions));
  STD_TORCH_CHECK(B_ > 0 || positions_ == 0, "textnn: the input has ", positions_, " vectors and no sequence");
  arrays_ = empty(positions, {B_ + 2 * T_ + 1}, ScalarType::Long);
  int64_t* length = writable<int64_t>(arrays_);
  const LengthsOf kind = packed ? LengthsOf::kBatchSizes : flat ? LengthsOf::kOffsets : LengthsOf::kLengths;
  textnn::cuda::lengths(device.stream, {kind, data<int64_t>(given), B_, T_, positions_, length});
  const Sorted sorted = sort(cuda::rows(arrays_, 0, B_), true);
  sorted_ = sorted.value;
  place_ = sorted.place;
  length_ = data<int64_t>(sorted_);
  sequence_ = data<int64_t>(place_);
  batch_size_on_device_ = length + B_;
  first_row_ = batch_size_on_device_ + T_;
  textnn::cuda::steps(device.stream, {B_, T_, exact_ ? positions_ : -1, length_, length + B_, length + B_ + T_});
}

std::vector<int64_t> DeviceSchedule::active(const Device& device) const {
  if (!batch_size_.empty() || T_ == 0) return batch_size_;
  if (kind_ != RaggedLayout::kFlat || textnn::cuda::capturing(device.stream))
    return std::vector<int64_t>(size_t(T_), B_);
  const torch::stable::Device cpu(torch::headeronly::DeviceType::CPU);
  const Tensor here = torch::stable::to(cuda::rows(arrays_, B_, T_), cpu);
  const int64_t* p = data<int64_t>(here);
  return std::vector<int64_t>(p, p + T_);
}

textnn::cuda::Schedule DeviceSchedule::schedule() const {
  return {B_, T_, rows_, sequence_, length_, batch_size_on_device_, first_row_};
}

textnn::cuda::Layout DeviceSchedule::layout(const Tensor& t) const {
  using textnn::cuda::Order;
  if (kind_ == RaggedLayout::kTimeMajor) return {Order::kPadded, t.stride(1), t.stride(0), nullptr};
  if (kind_ == RaggedLayout::kBatchMajor) return {Order::kPadded, t.stride(0), t.stride(1), nullptr};
  return {kind_ == RaggedLayout::kFlat ? Order::kFlat : Order::kPacked, 0, t.stride(0), data<int64_t>(start_)};
}

}  // namespace textnn::ops::cuda
