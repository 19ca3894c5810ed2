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

namespace TEXTNN_ISA {

// Rows of a step, so few that products which need not be made step by step are put off (schedule.h): a tile of its own
// takes as long for one row as for all of its 16.
template <class Product>
constexpr int64_t kPutOff = Product::kTiles ? 15 : kFewRows;

}  // namespace TEXTNN_ISA

#include "recurrent_weights.h"
#include "recurrent_forward.h"
#include "weight_gradient.h"
#include "recurrent_backward.h"
