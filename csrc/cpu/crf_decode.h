// Best paths of a CRF for one instruction set (part of crf_kernels.h).
//
// The best path needs no back pointers: scores of all steps are kept, and going back only the tags on the path are
// asked where they came from. Scores are kept relative to the best of their step, so that a long sequence loses no
// precision.

namespace TEXTNN_ISA {

// y[j] = max_i a[i] + m[i][j], m [K, Kp].
template <class T, class Put>
[[gnu::always_inline]] inline void best_times(const T* a, const T* m, int64_t K, int64_t Kp, Put&& put) {
  const int64_t vectors = Kp / kLanes<T>, blocks = (vectors + kMaxVectors - 1) / kMaxVectors;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = block * vectors / blocks, next = (block + 1) * vectors / blocks;
    with_constant<kMaxVectors>(int(next - first), [&](auto V) {
      constexpr int kChains = V == 1 ? 4 : 2;
      Vec<T> best[kChains][V];
      for (int c = 0; c < kChains; ++c)
        for (int v = 0; v < V; ++v) best[c][v] = broadcast(-std::numeric_limits<T>::infinity());
      const T* from = m + first * kLanes<T>;
      const auto see = [&](int c, int64_t i) {
        for (int v = 0; v < V; ++v) {
          const Vec<T> score = broadcast(a[i]) + load(from + i * Kp + v * kLanes<T>);
          best[c][v] = score > best[c][v] ? score : best[c][v];
        }
      };
      int64_t i = 0;
      for (; i + kChains <= K; i += kChains)
        for (int c = 0; c < kChains; ++c) see(c, i + c);
      for (; i < K; ++i) see(0, i);
      for (int v = 0; v < V; ++v) {
        for (int c = 1; c < kChains; ++c) best[0][v] = best[c][v] > best[0][v] ? best[c][v] : best[0][v];
        put((first + v) * kLanes<T>, best[0][v]);
      }
    });
  }
}

// Of one sequence. scores [length, Kp]; transitions padded [K, Kp] and as they are given. Tags at tags[t * step].
template <class T>
void best_path(const Crf<T>& a, int64_t b, const T* padded, int64_t Kp, T* scores, int64_t* tags) {
  constexpr int64_t L = kLanes<T>;
  constexpr T none = -std::numeric_limits<T>::infinity();
  const int64_t K = a.K, length = a.sentences.length[b], stride = a.step * K;
  const T* x = a.x + a.sentences.start[b] * K;
  for (int64_t t = 0; t < length; ++t, x += stride) {
    T* score = scores + t * Kp;
    Vec<T> high = broadcast(none);
    const auto put = [&](int64_t j, const Vec<T>& before) {
      const Vec<T> v = before + load_scores(x + j, K - j);
      store(score + j, v);
      high = v > high ? v : high;
    };
    if (t == 0)
      for (int64_t j = 0; j < Kp; j += L) put(j, load_scores(a.start + j, K - j));
    else
      best_times(score - Kp, padded, K, Kp, put);
    const T top = max_across<T>(high);
    if (top > none && top < std::numeric_limits<T>::infinity())
      for (int64_t j = 0; j < Kp; j += L) store(score + j, load(score + j) - top);
  }
  const auto first_best = [&](const T* score, const T* more, int64_t more_stride) {
    int64_t at = 0;
    T best = none;
    for (int64_t i = 0; i < K; ++i) {
      const T v = score[i] + more[i * more_stride];
      if (v > best) {
        best = v;
        at = i;
      }
    }
    return at;
  };
  int64_t tag = first_best(scores + (length - 1) * Kp, a.end, 1);
  for (int64_t t = length - 1;; --t) {
    tags[t * a.step] = tag;
    if (t == 0) break;
    tag = first_best(scores + (t - 1) * Kp, a.transitions + tag, K);
  }
}

// The n best paths of one sequence: of each tag the n best that end in it, in falling order. scores [2, K, n], from
// [length, K, n] where they come from, head [K].
template <class T>
void best_paths(const CrfDecode<T>& a, int64_t b, T* scores, int32_t* from, int32_t* head) {
  constexpr T none = -std::numeric_limits<T>::infinity();
  const Crf<T>& crf = a.crf;
  const int64_t K = crf.K, n = a.best, length = crf.sentences.length[b], first = crf.sentences.start[b];
  T *score = scores, *before = scores + K * n;
  for (int64_t t = 0; t < length; ++t) {
    const T* x = crf.x + (first + t * crf.step) * K;
    std::swap(score, before);
    T top = none;
    for (int64_t j = 0; j < K; ++j) {
      if (t == 0) {
        std::fill(score + j * n, score + (j + 1) * n, none);
        score[j * n] = crf.start[j] + x[j];
      } else {
        math::merge_best<T>(
            K, n, before, [&](int64_t i) { return crf.transitions[i * K + j]; }, head,
            [&](int64_t rank, T value, int64_t at) {
              score[j * n + rank] = value + x[j];
              from[(t * K + j) * n + rank] = int32_t(at);
            });
      }
      if (score[j * n] > top) top = score[j * n];
    }
    if (top > none && top < std::numeric_limits<T>::infinity())
      for (int64_t i = 0; i < K * n; ++i) score[i] -= top;
  }
  math::merge_best<T>(
      K, n, score, [&](int64_t i) { return crf.end[i]; }, head,
      [&](int64_t rank, T value, int64_t at) {
        int64_t* tags = a.tags + rank * a.rows + first;
        a.scores[rank * crf.sentences.B + b] = value;  // whether there is one
        for (int64_t t = length - 1; t >= 0; --t) {
          tags[t * crf.step] = value > none ? at / n : 0;
          if (t > 0) at = from[t * K * n + at];
        }
      });
}

template <class T>
void crf_decode(const ThreadPool& pool, const CrfDecode<T>& a) {
  constexpr T none = -std::numeric_limits<T>::infinity();
  const Crf<T>& crf = a.crf;
  const int64_t K = crf.K, n = a.best, B = crf.sentences.B, Kp = padded_tags<T>(K);
  Workspace shared(n == 1 ? Workspace::bytes<T>(K * Kp) : 0);
  T* padded = n == 1 ? shared.take<T>(K * Kp) : nullptr;
  for (int64_t i = 0; n == 1 && i < K; ++i) {
    std::copy(crf.transitions + i * K, crf.transitions + (i + 1) * K, padded + i * Kp);
    std::fill(padded + i * Kp + K, padded + (i + 1) * Kp, none);
  }
  const SequenceRuns runs(crf.sentences, kForwardRuns);
  for_units(threads_for(pool, n * runs.steps, K), runs.count(), [&](int64_t run) {
    const int64_t longest = runs.longest(crf.sentences, run);
    Workspace memory(n == 1 ? Workspace::bytes<T>(longest * Kp)
                            : Workspace::bytes<T>(2 * K * n) + Workspace::bytes<int32_t>(longest * K * n) +
                                  Workspace::bytes<int32_t>(K));
    T* scores = memory.take<T>(n == 1 ? longest * Kp : 2 * K * n);
    int32_t* from = n == 1 ? nullptr : memory.take<int32_t>(longest * K * n);
    int32_t* head = n == 1 ? nullptr : memory.take<int32_t>(K);
    for (int64_t b = runs.begin[run]; b < runs.begin[run + 1]; ++b) {
      const int64_t first = crf.sentences.start[b], length = crf.sentences.length[b];
      for (int64_t rank = 0; rank < n; ++rank) {
        a.scores[rank * B + b] = rank == 0 ? T(0) : none;
        for (int64_t t = length; t < crf.longest; ++t) a.tags[rank * a.rows + first + t * crf.step] = 0;
      }
      if (length == 0) continue;
      if (n == 1)
        best_path(crf, b, padded, Kp, scores, a.tags + first);
      else
        best_paths(a, b, scores, from, head);
      for (int64_t rank = 0; rank < n; ++rank) {
        T& score = a.scores[rank * B + b];
        if (rank > 0 && !(score > none)) continue;
        Crf<T> path = crf;
        path.tags = a.tags + rank * a.rows;
        score = T(path_score(path, b));
      }
    }
  });
}

}  // namespace TEXTNN_ISA
