// The distinct tokens of a batch.
#pragma once
#include <cstdint>

namespace textnn::cpu {

// distinct [min(N, V)] receives the ids that occur, in order of first appearance, token [N] the place of each
// position's id among them. Returns their number, or -1 - n where position n holds an id outside [0, V). One pass over
// the ids with a table of V counters; where the vocabulary is much larger than the batch, a hash table takes its place.
int64_t find_distinct(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token);

// The same in rising order, as coalesced sparse tensors want them. A bit for each entry of the table marks the ids, and
// the bits below it count their places.
int64_t find_distinct_sorted(const int64_t* ids, int64_t N, int64_t V, int64_t* distinct, int32_t* token);

}  // namespace textnn::cpu
