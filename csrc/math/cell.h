// What the recurrent engines of the CPU and of CUDA ask of a cell, a struct in a file of its own beside this one:
//
//   kName                what the operators call it
//   kSums                pre-activations of a hidden unit
//   kInput, kState       which of them the input's product adds to, and which the state's: a window each
//   input_block(i),      the block of H rows of torch's W_ih, or W_hh, that belongs to sum i of the window
//   state_block(i)
//   kKept                values of a unit that the forward pass keeps for the backward pass
//   kCell                whether there is a private state c beside the output state h
//   kReadsState          whether a unit reads its own h of the step before, beside the products
//   kCarry               what has a gradient that goes from step to step beside the products: c, h or nothing
//
//   forward<Math>(sum, h_prev, c, kept) -> h                                c is changed in place
//   backward<Math>(kept, h_prev, c_prev, c, dh, carry, dsum)                dh is d(loss)/dh, all of it
//
// The last two take one unit, or on the CPU a vector of units. `carry` comes in as d(loss)/dc of the step's own end and
// leaves as that of its beginning (kCarry == Carry::kCell); or it leaves as the part of d(loss)/dh_prev that does not
// come from the products (Carry::kState).
#pragma once
#include "host_device.h"

namespace textnn::math {

struct Window {
  int begin, size;
  constexpr bool operator==(const Window& other) const { return begin == other.begin && size == other.size; }
};

enum class Carry { kNone, kCell, kState };

}  // namespace textnn::math
