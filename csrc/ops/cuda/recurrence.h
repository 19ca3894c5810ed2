// Runs the recurrence in the form that costs less, or that is asked for.
#pragma once
#include "../../cuda/lstm.h"
#include "../lstm.h"
#include "schedule.h"

namespace textnn::ops::cuda {

// What is between the steps is allocated here; everything else of the arguments is there.
template <class E>
void run_forward(const Device& device, const DeviceSchedule& ragged, const Tensor& like,
                 const LstmDirections& directions, textnn::cuda::LstmForward<E> args);
template <class E>
void run_backward(const Device& device, const DeviceSchedule& ragged, const Tensor& like,
                  const LstmDirections& directions, textnn::cuda::LstmBackward<E> args);

}  // namespace textnn::ops::cuda
