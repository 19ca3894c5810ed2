#include "simd.h"
#include "tile.h"
#include "lstm_forward.h"
#include "lstm_backward.h"
