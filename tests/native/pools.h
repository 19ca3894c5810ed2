// Thread pools for the tests, well behaved and otherwise, as cpu::ThreadPool knows them.
#pragma once
#include <string>
#include "../../csrc/cpu/parallel.h"

namespace textnn::native {

// threads   one thread for each piece, the caller's included
// serial    the caller gets the whole range: a call from inside a parallel region
// in_turn   the caller runs the pieces one after the other
// whole     another thread gets the whole range
// merged    one thread gets two pieces, so that one thread fewer comes than was asked for
// late      the thread of the last piece arrives after the others have lost patience
// slow      the thread of the last piece begins some milliseconds after the call
// Throws std::invalid_argument for another name.
cpu::ThreadPool make_pool(const std::string& kind, int threads);

// The control word of the thread's floating-point unit (MXCSR, FPCR), 0 where it is not known how to read it.
uint64_t float_mode();
// Turns the flushing of subnormal numbers on or off for the calling thread.
void set_flushing(bool on);
// Whether the calling thread flushes subnormal results.
bool flushing();

// How many pieces of work left a thread in another floating-point mode than they found it in, since the module was
// loaded.
int64_t mode_changes();

}  // namespace textnn::native
