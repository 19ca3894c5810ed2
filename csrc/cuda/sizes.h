// Lengths and offsets of a ragged batch on the device.
#pragma once
#include "element.h"

namespace textnn::cuda {

// n integers of the host on the device, inside the parameters of a kernel: no synchronisation, no pinned memory that
// must outlive the call, and a CUDA graph replays them.
void upload(Stream stream, const int64_t* host, int64_t n, int64_t* device);

// Sentences of a batch of tokens, as cpu/sentences.h.
struct Sentences {
  int64_t B;
  const int64_t* start;   // [B]
  const int64_t* length;  // [B]
};

enum class Sizes { kNone, kLengths, kOffsets };

// start and length [B] from lengths or offsets [B] of sentences in rows of L tokens, or of N flat tokens. A size that
// is out of range stops the kernel, as an index that is out of range does in torch.
struct SentenceBounds {
  Sizes kind;
  const int64_t* sizes;  // [B], or null: every sentence has L tokens
  int64_t B, L, N;
  int64_t* start;   // [B]
  int64_t* length;  // [B]
};
void sentence_bounds(Stream stream, const SentenceBounds& args);

}  // namespace textnn::cuda
