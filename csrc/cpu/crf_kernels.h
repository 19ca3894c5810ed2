// The kernels of a CRF for one instruction set (included through foreach_isa.h).
#include "simd.h"
#include "tile.h"
#include "crf_scaled.h"
#include "crf_logarithms.h"
#include "crf_likelihood.h"
#include "crf_decode.h"
