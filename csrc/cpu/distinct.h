// The distinct tokens of a batch.
#pragma once
#include <cstdint>

namespace textnn::cpu {

// distinct [min(N, V)] receives the ids that occur, in rising order, so that rows of tables are read and written in the
// order in which they stand; token [N] the place of each position's id among them. Returns their number, or -1 - n
// where position n is the first to hold an id outside [0, V).
//
// A bit for each entry of the table marks the ids, and the bits below it count their places: two passes over the ids
// and one over V / 64 words. Where the vocabulary is so much larger than the batch that this pass would outweigh the
// others, the ids are sorted instead.
int64_t find_distinct(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token);

}  // namespace textnn::cpu
