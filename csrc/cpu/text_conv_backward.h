// The backward pass of both convolutions, for one instruction set (included through foreach_isa.h).
//
// Each (sentence, channel) has one window that won; with g its gradient behind the activation, for each tap k of the
// window
//
//   dx[row of the tap's token] += g * weight[c, k]          dweight[c, k] += g * x[row of the tap's token]
//
// These are two products with one sparse matrix, [tokens] x [channels and taps]. Each is made row by row of its result,
// which stays in registers while all that belongs to it is added, and is written once:
//
//   dx       a token: over its positions, kernels and taps, the channels that won there      (hits, by window)
//   dweight  a channel and tap: over the sentences, the token under the tap                  (wins, by channel)
//
// What they read is first laid out for them (scaled_rows.h): weights with taps in front of dimensions, vectors of the
// distinct tokens one behind the other; rounded where products multiply bfloat16 (precision.h), and so is each g. Every
// sum has a fixed order, so results do not depend on the threads, and there are neither atomics nor second copies.
// Windows without gradient (a ReLU at zero) are not visited.

namespace TEXTNN_ISA {

template <class Product>
class TextConvBackwardKernel {
  using T = typename Product::T;
  using Stored = typename Product::Stored;
  using Rows = ScaledRows<Product>;
  static constexpr int64_t L = kLanes<T>;
  // Vectors of a sum that registers hold; in NEON each has another beside it for what is added.
  static constexpr int kMostSums = TEXTNN_REGISTERS == 16 ? 10 : kVectorBytes == 16 ? 14 : 20;
  static constexpr int64_t kChannels = 16;        // of a unit of dweight: a cache line of y
  static constexpr double kWorkPerThread = 10e3;  // operations on vectors
  static constexpr double kZeros = 8;             // vectors of zeros that are written in the time of one operation

  // A channel that won at some window: its gradient, and the row of taps_ of its first tap.
  struct Hit {
    T g;
    int32_t row;
  };
  // A sentence where a channel won: its gradient, the position under the first tap, the taps inside the sentence.
  struct Win {
    T g;
    int32_t first, begin, end;
  };
  // A sentence's position.
  struct Place {
    int32_t n, b;
  };
  // Tokens begin .. end and the rows of dx up to row_end, those without gradient included.
  struct Unit {
    int64_t begin, end, row_begin, row_end;
  };

 public:
  explicit TextConvBackwardKernel(const TextConvBackward<T>& a)
      : a_(a),
        s_(a.sentences),
        k_(a.sizes),
        taps_in_all_(k_.taps_before(k_.S)),
        vectors_(Rows::vectors(k_.D)),
        groups_((k_.C + kChannels - 1) / kChannels) {}

  void run(const ThreadPool& pool) {
    const bool copied = a_.dweight && (Product::kRounds || a_.embedded || k_.D % L);
    const auto bytes = [](int64_t n) { return Workspace::bytes<Stored>(n); };
    const int64_t taps = a_.dx ? taps_in_all_ * k_.C * vectors_ * L : 0, rows = copied ? a_.U * vectors_ * L : 0;
    const int64_t starts = a_.dx ? k_.S * (a_.N + 3 * s_.B) : 0, hits = a_.dx ? s_.B * k_.S * (k_.C + 1) : 0;
    const int64_t places = a_.dx ? a_.N : 0, ends = a_.dx && a_.embedded ? a_.U + 2 : 0;
    Workspace workspace(bytes(taps) + bytes(rows) + Workspace::bytes<int32_t>(starts) + Workspace::bytes<Hit>(hits) +
                        Workspace::bytes<Place>(places) + Workspace::bytes<int32_t>(ends));
    taps_ = workspace.take<Stored>(taps);
    rows_ = workspace.take<Stored>(rows);
    x_ = rows_;
    if constexpr (!Product::kRounds)
      if (!copied) x_ = a_.x;
    first_hit_ = workspace.take<int32_t>(starts);
    hits_ = workspace.take<Hit>(hits);
    places_ = workspace.take<Place>(places);
    place_end_ = workspace.take<int32_t>(ends);

    constexpr int64_t kRows = 128, kSentences = 16;
    const double work =
        double(s_.B * k_.C) * double(taps_in_all_ * vectors_) * 2 + double(a_.dx_rows * vectors_) / kZeros;
    const ThreadPool some{int(std::min<double>(work / kWorkPerThread + 1, pool.threads)), pool.run};
    const int64_t row_units = copied ? (a_.U + kRows - 1) / kRows : 0;
    const int64_t hit_units = a_.dx ? (s_.B + kSentences - 1) / kSentences : 0;
    const int64_t weight_units = a_.dx ? k_.S * groups_ : 0;
    for_units(some, (a_.dx ? 1 : 0) + weight_units + hit_units + row_units, [&](int64_t unit) {
      if (a_.dx && unit-- == 0) return find_places();
      if (unit < weight_units) return lay_out_weights(unit / groups_, unit % groups_);
      if ((unit -= weight_units) < hit_units)
        return find_hits(unit * kSentences, std::min(s_.B, (unit + 1) * kSentences));
      unit -= hit_units;
      lay_out_rows(unit * kRows, std::min(a_.U, (unit + 1) * kRows));
    });

    std::vector<Unit> units;
    if (a_.dx) units = plan(std::max(work / (16 * some.threads), 1e3));
    const int64_t dweight_units = a_.dweight || a_.dbias ? k_.S * groups_ : 0;
    for_units(some, dweight_units + int64_t(units.size()), [&](int64_t unit) {
      if (unit < dweight_units) return channels(unit / groups_, unit % groups_);
      tokens(units[size_t(unit - dweight_units)]);
    });
  }

 private:
  int64_t column(int64_t b, int64_t i) const { return (b * k_.S + i) * k_.C; }
  // Where the hits of kernel i in sentence b begin, window by window; one more behind the last window.
  int32_t* first_hit(int64_t i, int64_t b) const { return first_hit_ + i * (a_.N + 3 * s_.B) + s_.start[b] + 3 * b; }
  Hit* hits(int64_t i, int64_t b) const { return hits_ + (b * k_.S + i) * (k_.C + 1); }

  void gradients(int64_t b, int64_t i, int64_t c, int64_t n, T* g) const {
    const T *y = a_.y + column(b, i) + c, *dy = a_.dy + column(b, i) + c;
    for (int64_t j = 0; j < n; ++j) g[j] = math::activation_backward(k_.activation, y[j], dy[j]);
  }

  // body(Const<V>{}, first) for vectors first .. first + V of a row, as many as registers hold.
  template <class F>
  void for_blocks(F&& body) const {
    constexpr int kGroup = Product::kGroup, kMost = kMostSums / kGroup;
    const int64_t groups = vectors_ / kGroup, blocks = (groups + kMost - 1) / kMost;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * groups / blocks, next = (block + 1) * groups / blocks;
      with_constant<kMost>(int(next - first), [&](auto G) { body(Const<kGroup * G>{}, kGroup * first); });
    }
  }

  // --- what is laid out first ---

  // [C, D, K] to [C, K, vectors, L] for some channels of kernel i.
  void lay_out_weights(int64_t i, int64_t group) const {
    const int64_t K = k_.taps[i], D = k_.D, row = vectors_ * L, end = std::min(k_.C, (group + 1) * kChannels);
    Workspace workspace(Workspace::bytes<T>(Product::kRounds ? D : 0));
    T* tap = workspace.take<T>(Product::kRounds ? D : 0);
    for (int64_t c = group * kChannels; c < end; ++c) {
      const T* from = a_.weight[i] + c * D * K;
      Stored* to = taps_ + (k_.taps_before(i) * k_.C + c * K) * row;
      for (int64_t k = 0; k < K; ++k, to += row) {
        if constexpr (!Product::kRounds) tap = to;
        for (int64_t d = 0; d < D; ++d) tap[d] = from[d * K + k];
        if constexpr (Product::kRounds)
          Rows::write(tap, D, to);
        else
          std::fill(to + D, to + row, T(0));
      }
    }
  }

  void lay_out_rows(int64_t begin, int64_t end) const {
    for (int64_t u = begin; u < end; ++u)
      Rows::write(a_.x + (a_.embedded ? a_.distinct[u] : u) * k_.D, k_.D, rows_ + u * vectors_ * L);
  }

  // The channels that won in some sentences, in order of their windows.
  void find_hits(int64_t begin, int64_t end) const {
    Workspace workspace(Workspace::bytes<T>(k_.C));
    T* g = workspace.take<T>(k_.C);
    for (int64_t b = begin; b < end; ++b)
      for (int64_t i = 0; i < k_.S; ++i) {
        gradients(b, i, 0, k_.C, g);
        Rows::round(g, k_.C);
        const int32_t* window = a_.window + column(b, i);
        const int64_t windows = k_.windows(i, s_.length[b]), before = k_.taps_before(i) * k_.C;
        int32_t* first = first_hit(i, b);
        std::fill(first, first + windows + 2, 0);
        for (int64_t c = 0; c < k_.C; ++c) first[window[c] + 2] += g[c] != T(0);
        for (int64_t w = 0; w < windows; ++w) first[w + 2] += first[w + 1];
        // first[w + 1] is now where the hits of w begin; placing them moves it to their end.
        Hit* to = hits(i, b);
        for (int64_t c = 0; c < k_.C; ++c) {
          int32_t& next = first[window[c] + 1];
          const bool won = g[c] != T(0);
          to[won ? next : k_.C] = {g[c],
                                   int32_t(before + c * k_.taps[i])};  // the last place is for what does not count
          next += won;
        }
      }
  }

  // The positions of each token; where every position has its own, those of the sentences in turn.
  void find_places() {
    if (!a_.embedded) {
      for (int64_t b = 0; b < s_.B; ++b)
        for (int64_t t = 0; t < s_.length[b]; ++t) places_[s_.start[b] + t] = {int32_t(s_.start[b] + t), int32_t(b)};
      return;
    }
    std::fill(place_end_, place_end_ + a_.U + 2, 0);
    for (int64_t b = 0; b < s_.B; ++b)
      for (int64_t t = 0; t < s_.length[b]; ++t) ++place_end_[a_.token[s_.start[b] + t] + 2];
    for (int64_t u = 0; u < a_.U; ++u) place_end_[u + 2] += place_end_[u + 1];
    for (int64_t b = 0; b < s_.B; ++b)
      for (int64_t t = 0; t < s_.length[b]; ++t) {
        const int64_t n = s_.start[b] + t;
        places_[place_end_[a_.token[n] + 1]++] = {int32_t(n), int32_t(b)};
      }
  }

  // --- dx ---

  // Units of nearly the same work, counted in operations on vectors.
  std::vector<Unit> plan(double most) const {
    const double place = double(taps_in_all_) +
                         double(s_.B * k_.C * vectors_) * double(taps_in_all_) / std::max<double>(1, double(a_.N));
    std::vector<Unit> units;
    Unit unit{0, 0, 0, 0};
    double work = 0;
    const auto finish = [&](int64_t end, int64_t row) {
      unit.end = end;
      unit.row_end = row;
      if (unit.end > unit.begin || unit.row_end > unit.row_begin) units.push_back(unit);
      unit = {end, end, row, row};
      work = 0;
    };
    if (!a_.embedded) {  // a token is a sentence here
      for (int64_t b = 0; b < s_.B; ++b) {
        work += place * double(s_.length[b]);
        if (work > most) finish(b + 1, b + 1 < s_.B ? s_.start[b + 1] : a_.N);
      }
      finish(s_.B, a_.N);
      return units;
    }
    // Long runs of rows without gradient are cut as well.
    const int64_t run = int64_t(most * kZeros / double(std::max<int64_t>(1, vectors_))) + 1;
    for (int64_t u = 0; u < a_.U; ++u) {
      const int64_t row = a_.compact ? u : a_.distinct[u];
      while (row - unit.row_begin >= run) finish(u, unit.row_begin + run);
      work += place * double(place_end_[u + 1] - place_end_[u]) + double(vectors_);
      if (work > most) finish(u + 1, row + 1);
    }
    while (a_.dx_rows - unit.row_begin > run) finish(a_.U, unit.row_begin + run);
    finish(a_.U, a_.dx_rows);
    return units;
  }

  void tokens(const Unit& unit) const {
    const bool streamed = a_.dx_rows * k_.D * int64_t(sizeof(T)) >= kStreamedBytes;
    const auto zeros = [&](int64_t begin, int64_t end) {
      clear(a_.dx + begin * k_.D, (end - begin) * k_.D * int64_t(sizeof(T)), streamed);
    };
    if (!a_.embedded) {
      for (int64_t b = unit.begin; b < unit.end; ++b) {
        const int64_t end = s_.start[b] + s_.length[b];
        for (int64_t n = s_.start[b]; n < end; ++n) token(places_ + n, places_ + n + 1, a_.dx + n * k_.D);
        zeros(end, b + 1 < s_.B ? s_.start[b + 1] : a_.N);
      }
      return;
    }
    // One long run first: many short ones between the tokens' rows cost more than writing these twice.
    zeros(unit.row_begin, unit.row_end);
    for (int64_t u = unit.begin; u < unit.end; ++u) {
      const int64_t row = a_.compact ? u : a_.distinct[u];
      if (a_.distinct[u] == a_.padding) continue;
      token(places_ + place_end_[u], places_ + place_end_[u + 1], a_.dx + row * k_.D);
    }
  }

  // The gradient of one token, from all its positions.
  void token(const Place* begin, const Place* end, T* dx) const {
    for_blocks([&](auto V, int64_t first) {
      typename Rows::template Sum<V> sum(taps_ + first * L, vectors_ * L);
      for (const Place* place = begin; place < end; ++place) add_hits(sum, *place);
      sum.finish(dx + first * L, k_.D - first * L);
    });
  }

  template <class Sum>
  [[gnu::always_inline]] inline void add_hits(Sum& sum, const Place& place) const {
    const int64_t t = place.n - s_.start[place.b], length = s_.length[place.b];
    for (int64_t i = 0; i < k_.S; ++i) {
      const int32_t* first = first_hit(i, place.b);
      const Hit* hit = hits(i, place.b);
      const int64_t last = t + k_.left(i), windows = k_.windows(i, length);  // the window of tap 0
      for (int64_t k = std::max<int64_t>(0, last - windows + 1); k < k_.taps[i] && k <= last; ++k)
        for (int32_t h = first[last - k], stop = first[last - k + 1]; h < stop; ++h) sum.add(hit[h].g, hit[h].row + k);
    }
  }

  // --- dweight and dbias ---

  void channels(int64_t i, int64_t group) const {
    const int64_t c = group * kChannels, count = std::min(kChannels, k_.C - c), K = k_.taps[i], row = vectors_ * L;
    Workspace workspace(Workspace::bytes<Win>(kChannels * (s_.B + 1)) + Workspace::bytes<T>(K * row));
    Win* wins = workspace.take<Win>(kChannels * (s_.B + 1));  // for each channel those of all sentences
    T* sums = workspace.take<T>(K * row);
    int64_t won[kChannels] = {};
    T bias[kChannels] = {}, g[kChannels];
    for (int64_t b = 0; b < s_.B; ++b) {
      gradients(b, i, c, count, g);
      const int32_t* window = a_.window + column(b, i) + c;
      for (int64_t j = 0; j < count; ++j) bias[j] += g[j];
      Rows::round(g, count);
      for (int64_t j = 0; j < count; ++j) {
        const int64_t first = window[j] - k_.left(i);
        wins[j * (s_.B + 1) + won[j]] = {g[j], int32_t(s_.start[b] + first), int32_t(std::max<int64_t>(0, -first)),
                                         int32_t(std::min(K, s_.length[b] - first))};
        won[j] += g[j] != T(0);
      }
    }
    if (a_.dbias) std::copy(bias, bias + count, a_.dbias + i * k_.C + c);
    if (!a_.dweight) return;
    for (int64_t j = 0; j < count; ++j) {
      const Win *begin = wins + j * (s_.B + 1), *end = begin + won[j];
      for (int64_t k = 0; k < K; ++k)
        for_blocks([&](auto V, int64_t first) {
          typename Rows::template Sum<V> sum(x_ + first * L, row);
          for (const Win* win = begin; win < end; ++win) {
            if (k < win->begin || k >= win->end) continue;
            const int64_t n = win->first + k;
            sum.add(win->g, a_.embedded ? a_.token[n] : n);
          }
          sum.finish(sums + k * row + first * L, V * L);
        });
      T* to = a_.dweight + (k_.taps_before(i) * k_.C + (c + j) * K) * k_.D;
      for (int64_t k = 0; k < K; ++k)
        for (int64_t d = 0; d < k_.D; ++d) to[d * K + k] = sums[k * row + d];
    }
  }

  const TextConvBackward<T>& a_;
  const Sentences& s_;
  const TextConvKernelSizes& k_;
  const int64_t taps_in_all_, vectors_, groups_;  // taps of all kernels, vectors of a row, units of a kernel's channels
  Stored* taps_;                                  // for each kernel in turn [C, K, vectors, L]
  Stored* rows_;                                  // [U, vectors, L] copies of the tokens' vectors
  const Stored* x_;                               // these, or the vectors themselves
  int32_t* first_hit_;                            // see first_hit()
  Hit* hits_;                                     // [B, S, C + 1]
  Place* places_;                                 // [N] by token
  int32_t* place_end_;  // [U + 2] where the places of a token begin, and from one token to the next end
};

template <class T>
void text_conv_backward(const ThreadPool& pool, const TextConvBackward<T>& args) {
  TextConvBackwardKernel<Exact<T>>(args).run(pool);
}
inline void text_conv_backward_bfloat16(const ThreadPool& pool, const TextConvBackward<float>& args) {
#if TEXTNN_TILES  // sums of scaled rows are no tiles, and CPUs that have these multiply pairs at half of float32's rate
  using Product = Rounded;
#else
  using Product = Bfloat16;
#endif
  TextConvBackwardKernel<Product>(args).run(pool);
}

}  // namespace TEXTNN_ISA
