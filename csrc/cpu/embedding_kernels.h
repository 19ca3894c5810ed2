#include "simd.h"
#include "sum_rows.h"
