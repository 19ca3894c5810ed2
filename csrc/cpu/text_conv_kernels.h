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
#include "scaled_rows.h"
#include "running_max.h"
#include "sentence_windows.h"
#include "packed_kernels.h"
#include "embedding_text_conv_forward.h"
#include "text_conv_forward.h"
#include "text_conv_backward.h"
