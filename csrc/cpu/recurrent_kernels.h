#include "simd.h"
#include "tile.h"
#include "sum_rows.h"
#if TEXTNN_PAIRS
#include "quick_math.h"
#endif
#include "precision.h"
#if TEXTNN_TILES
#include "tiles.h"
#endif
#include "unit_blocks.h"
#include "recurrent_weights.h"
#include "recurrent_forward.h"
#include "weight_gradient.h"
#include "recurrent_backward.h"
