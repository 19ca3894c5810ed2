// Attention over a ragged batch (Luong et al. 2015, score "dot"): each of the Q queries of a sentence is compared with
// the sentence's own states, and gets the mean of them by the softmax of the scores.
//
//   scores = scale query states^T      weights = softmax(scores)      context = weights states
//
// T states in a sentence, H columns. The weights of (sentence b, query q) stand at weights + first[b] + q * row, one
// for each state: a row of [B, Q, L] for a padded batch, of [Q, N] for a flat one.
#pragma once
#include "parallel.h"
#include "sentences.h"

namespace textnn::cpu {

template <class T>
struct Attention {
  Sentences sentences;    // of rows of states
  int64_t Q, H, longest;  // longest: states that a padded sentence has room for, 0 in a flat batch
  T scale;
  const T* query;        // [B, Q, H]
  const T* states;       // row n at states + n * H
  const int64_t* first;  // [B]
  int64_t row;
};

template <class T>
struct AttentionForward {
  Attention<T> attention;
  T* context;  // [B, Q, H]; zero without states
  T* weights;  // zero at padding; null: not wanted
};

template <class T>
struct AttentionBackward {
  Attention<T> attention;
  const T* weights;   // of the forward pass
  const T* dcontext;  // [B, Q, H] or null
  const T* dweights;  // as weights, or null
  T* dquery;          // [B, Q, H]
  T* dstates;         // rows as states; zero at padding
};

template <class T>
void attention_forward(const ThreadPool& pool, const AttentionForward<T>& args);
template <class T>
void attention_backward(const ThreadPool& pool, const AttentionBackward<T>& args);

}  // namespace textnn::cpu
