// Log-likelihoods of a CRF and their gradient over a ragged batch (part of crf_kernels.h). The unit of work is a run of
// sequences with about as many steps as the others; how a batch is divided does not depend on the number of threads, so
// neither do sums of gradients.

namespace TEXTNN_ISA {

// To wake threads costs as much as some hundred steps of few tags.
inline ThreadPool threads_for(const ThreadPool& pool, int64_t steps, int64_t K) {
  return steps * (K * K + 512) < 400000 ? ThreadPool{1, pool.run} : pool;
}

template <class T>
Rows<T> rows_of(const Crf<T>& a, int64_t b) {
  return {a.x + a.sentences.start[b] * a.K, a.step * a.K, a.sentences.length[b]};
}

template <class T>
double path_score(const Crf<T>& a, int64_t b) {
  const int64_t first = a.sentences.start[b], length = a.sentences.length[b], K = a.K;
  double score = 0;
  int64_t before = 0;
  for (int64_t t = 0; t < length; ++t) {
    const int64_t row = first + t * a.step, tag = a.tags[row];
    score += double(a.x[row * K + tag]) + double(t == 0 ? a.start[tag] : a.transitions[before * K + tag]);
    before = tag;
  }
  return length ? score + double(a.end[before]) : 0;
}

// -inf where no path is allowed, as the tags' own cannot be.
inline double log_likelihood(double score, double log_z) {
  return log_z == -std::numeric_limits<double>::infinity() ? log_z : score - log_z;
}

// What the sequences share, in their own type and, unless every sequence is safe in it, in double.
template <class T>
struct Shared {
  std::optional<Workspace> memory, wide_memory;
  std::optional<Scaled<T>> scaled;
  std::optional<Wide> wide;

  explicit Shared(const Crf<T>& a) {
    memory.emplace(Scaled<T>::bytes(a.K));
    scaled.emplace(*memory, a.K, a.start, a.end, a.transitions);
    if (scaled->bounded) return;
    wide_memory.emplace(Wide::bytes(a.K));
    wide.emplace(*wide_memory, a.K, a.start, a.end, a.transitions);
  }
};

template <class T>
void crf_forward(const ThreadPool& pool, const CrfForward<T>& a) {
  const Crf<T>& crf = a.crf;
  const Shared<T> shared(crf);
  const SequenceRuns runs(crf.sentences, kForwardRuns);
  for_units(threads_for(pool, runs.steps, crf.K), runs.count(), [&](int64_t run) {
    const int64_t Kp = shared.scaled->Kp;
    Workspace memory(Workspace::bytes<T>(3 * Kp));
    T* work = memory.take<T>(3 * Kp);
    for (int64_t b = runs.begin[run]; b < runs.begin[run + 1]; ++b) {
      const Rows<T> rows = rows_of(crf, b);
      if (rows.length == 0) {
        a.y[b] = 0;
        continue;
      }
      T* alphas = a.alphas ? a.alphas + crf.sentences.start[b] * crf.K : nullptr;
      double log_z = 0;
      if (!scaled_forward(*shared.scaled, rows, alphas, rows.stride, work, log_z)) {
        Workspace more(WideSequence::bytes(crf.K, rows.length));
        log_z = WideSequence(more, *shared.wide, rows, sizeof(T) == 4).log_z();
        if (alphas) *alphas = T(-1);
      } else if (alphas && log_z == -std::numeric_limits<double>::infinity()) {
        *alphas = T(-1);
      }
      a.y[b] = T(log_likelihood(crf.tags ? path_score(crf, b) : 0, log_z));
    }
  });
}

// Sums of a run: of m[i][j] * pairs[i][j] and of direct comes the gradient of the transitions.
template <class T>
struct RunSums {
  T *pairs, *direct, *start, *end;  // [K, Kp], [K, K], [K], [K]

  static size_t bytes(int64_t K, int64_t Kp) {
    return Workspace::bytes<T>(K * Kp) + Workspace::bytes<T>(K * K) + 2 * Workspace::bytes<T>(K);
  }
  RunSums(Workspace& work, int64_t K, int64_t Kp)
      : pairs(zeros(work, K * Kp)), direct(zeros(work, K * K)), start(zeros(work, K)), end(zeros(work, K)) {}

 private:
  static T* zeros(Workspace& work, int64_t n) {
    T* p = work.take<T>(n);
    std::fill(p, p + n, T(0));
    return p;
  }
};

// The gradient of one sequence; zero where no path is allowed. work [2 Kp], w [longest, Kp], alphas [longest, K] are
// scratch; sums may be null.
template <class T>
void sequence_gradient(const CrfBackward<T>& a, const Shared<T>& shared, int64_t b, T* work, T* w, T* alphas,
                       RunSums<T>* sums) {
  const Crf<T>& crf = a.crf;
  const Scaled<T>& s = *shared.scaled;
  const int64_t K = crf.K, first = crf.sentences.start[b];
  const Rows<T> rows = rows_of(crf, b);
  const T g = sums ? a.dy[b] : T(-1);
  T* dx = a.dx + first * K;
  const T* kept = a.alphas ? a.alphas + first * K : alphas;
  const int64_t kept_stride = a.alphas ? rows.stride : K;
  double log_z = 0;
  bool safe = a.alphas ? !(kept[0] < 0) : scaled_forward(s, rows, alphas, K, work, log_z) && std::isfinite(log_z);
  if (safe)
    safe = scaled_backward(s, rows, kept, kept_stride, w, work, [&](int64_t t, int64_t j, const Vec<T>& v) {
      store(dx + t * rows.stride + j, -g * v, K - j);
    });
  if (safe) {
    if (sums) add_pairs(K, s.Kp, rows.length, -g, kept, kept_stride, w, sums->pairs);
  } else {
    // Scores that are NaN or infinite are not the same as no path.
    const bool number = a.alphas ? kept[0] < 0 : std::isfinite(log_z) || log_z < 0;
    const T fill = number || shared.wide ? T(0) : std::numeric_limits<T>::quiet_NaN();
    for (int64_t t = 0; t < rows.length; ++t) std::fill(dx + t * rows.stride, dx + t * rows.stride + K, fill);
    if (!shared.wide) return;  // bounded scores, and no path: the emissions forbid all tags
    Workspace more(WideSequence::bytes(K, rows.length));
    WideSequence sequence(more, *shared.wide, rows, sizeof(T) == 4);
    const bool any_path =
        sequence.backward([&](int64_t t, int64_t j, double p) { dx[t * rows.stride + j] = T(-double(g) * p); },
                          [&](int64_t i, int64_t j, double p) {
                            if (sums) sums->direct[i * K + j] += T(-double(g) * p);
                          });
    if (!any_path) return;
  }
  if (crf.tags)
    for (int64_t t = 0; t < rows.length; ++t) dx[t * rows.stride + crf.tags[first + t * crf.step]] += g;
  if (!sums) return;
  const T* last = dx + (rows.length - 1) * rows.stride;
  for (int64_t j = 0; j < K; ++j) {
    sums->start[j] += dx[j];
    sums->end[j] += last[j];
  }
  if (crf.tags)
    for (int64_t t = 1; t < rows.length; ++t)
      sums->direct[crf.tags[first + (t - 1) * crf.step] * K + crf.tags[first + t * crf.step]] += g;
}

template <class T>
void crf_backward(const ThreadPool& pool, const CrfBackward<T>& a) {
  const Crf<T>& crf = a.crf;
  const int64_t K = crf.K;
  const Shared<T> shared(crf);
  const Scaled<T>& s = *shared.scaled;
  // Few runs of many tags, whose sums would fill the memory.
  const int64_t most = std::clamp<int64_t>((int64_t(1) << 22) / (K * s.Kp), 2, kForwardRuns);
  const bool gradients = a.dtransitions != nullptr;
  const SequenceRuns runs(crf.sentences, gradients ? most : kForwardRuns);
  const size_t one = gradients ? RunSums<T>::bytes(K, s.Kp) : 0;
  Workspace memory(one * size_t(runs.count()));
  std::vector<RunSums<T>> sums;
  for (int64_t run = 0; gradients && run < runs.count(); ++run) sums.emplace_back(memory, K, s.Kp);
  for_units(threads_for(pool, runs.steps, K), runs.count(), [&](int64_t run) {
    const int64_t longest = runs.longest(crf.sentences, run);
    Workspace scratch(Workspace::bytes<T>(3 * s.Kp) + Workspace::bytes<T>(longest * s.Kp) +
                      (a.alphas ? 0 : Workspace::bytes<T>(longest * K)));
    T *work = scratch.take<T>(3 * s.Kp), *w = scratch.take<T>(longest * s.Kp);
    T* alphas = a.alphas ? nullptr : scratch.take<T>(longest * K);
    for (int64_t b = runs.begin[run]; b < runs.begin[run + 1]; ++b) {
      const int64_t first = crf.sentences.start[b], length = crf.sentences.length[b];
      if (length) sequence_gradient(a, shared, b, work, w, alphas, gradients ? &sums[size_t(run)] : nullptr);
      for (int64_t t = length; t < crf.longest; ++t) std::fill_n(a.dx + (first + t * crf.step) * K, K, T(0));
    }
  });
  if (!gradients) return;
  std::fill_n(a.dstart, K, T(0));
  std::fill_n(a.dend, K, T(0));
  std::fill_n(a.dtransitions, K * K, T(0));
  for (const RunSums<T>& run : sums) {
    for (int64_t j = 0; j < K; ++j) {
      a.dstart[j] += run.start[j];
      a.dend[j] += run.end[j];
    }
    for (int64_t i = 0; i < K; ++i)
      for (int64_t j = 0; j < K; ++j) {
        const T m = s.m[i * s.Kp + j];
        a.dtransitions[i * K + j] += run.direct[i * K + j] + (m > 0 ? m * run.pairs[i * s.Kp + j] : T(0));
      }
  }
}

}  // namespace TEXTNN_ISA
