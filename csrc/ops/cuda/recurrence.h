// Runs the recurrence in the form that costs less, or that is asked for.
#pragma once
#include "../../cuda/recurrent.h"
#include "../recurrent.h"
#include "schedule.h"

namespace textnn::ops::cuda {

// What is between the steps is allocated here; everything else of the arguments is there.
template <class E>
void run_forward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r,
                 textnn::cuda::RecurrentForward<E> args);
template <class E>
void run_backward(const Device& device, const DeviceSchedule& ragged, const Recurrent& r,
                  textnn::cuda::RecurrentBackward<E> args);

}  // namespace textnn::ops::cuda
