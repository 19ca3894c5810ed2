// The 8-bit LSTM, for one instruction set (included through foreach_isa.h, and once more with TEXTNN_DOT_PRODUCTS where
// one instruction multiplies and adds 4 bytes in each lane).
//
//   x rows as bytes  ------>  sums of the input, float  ------>  + sums of the state  ------>  gates, c, h
//   h rows as bytes  ------------------------------------------->        (registers)           h also as bytes
//
// The order of the work is that of recurrent_forward.h: members of a team share out the hidden units, or the sequences
// where the weights fit a core's cache, which at a byte a weight they do four times as often.
#include "simd.h"

namespace TEXTNN_ISA {

class QuantizedLstmKernel {
  static constexpr int64_t L = kLanes<float>, kUnit = kQuantizedUnits, kGroup = kQuantizedGroup;
  static constexpr int kParts = int(kUnit / L);                                // vectors of a gate's units
  static constexpr int kMost = TEXTNN_REGISTERS == 32 && kParts == 1 ? 6 : 1;  // rows of a tile
  using F = Vec<float>;
  using I32 = IVec<float>;
  using Gates = math::LstmGates<F>;
  // What a panel's sums become floats with: [4 gates, 16 units] of each.
  struct Constants {
    float scale_x[4 * kUnit], scale_h[4 * kUnit], bias[4 * kUnit];
    int32_t start_x[4 * kUnit], start_h[4 * kUnit];
  };

 public:
  explicit QuantizedLstmKernel(const QuantizedLstm& a)
      : a_(a),
        s_(a.schedule),
        panels_(quantized_panels(a.H)),
        groups_x_(quantized_groups(a.I)),
        groups_h_(quantized_groups(a.H)) {}

  void run(const ThreadPool& pool) {
    const int64_t bytes = panels_ * (groups_x_ + groups_h_) * 4 * kUnit * kGroup;
    const double work = double(s_.N) * double(bytes);  // multiply-adds
    const RecurrentTeam planned(pool.threads, work, s_.T, s_.B, 12, bytes <= core_cache_bytes(), kRate);
    const int threads = planned.threads;
    const bool share_rows = planned.share_rows;
    Workspace workspace(Workspace::bytes<uint8_t>(s_.N * groups_x_ * kGroup) + Workspace::bytes<float>(s_.N) +
                        Workspace::bytes<uint8_t>(2 * s_.B * groups_h_ * kGroup) +
                        Workspace::bytes<float>(panels_ * s_.B * kUnit) + Workspace::bytes<Constants>(panels_));
    x_ = workspace.take<uint8_t>(s_.N * groups_x_ * kGroup);
    scale_ = workspace.take<float>(s_.N);
    h_ = workspace.take<uint8_t>(2 * s_.B * groups_h_ * kGroup);
    c_ = workspace.take<float>(panels_ * s_.B * kUnit);
    constants_ = workspace.take<Constants>(panels_);

    Team::run(pool, threads, work, [&](Team& team, int member, int size) {
      const Share mine(panels_, member, size);
      for (int64_t p = mine.begin; p < mine.end; ++p) prepare(p);
      for (int64_t b = member; b < s_.B; b += size) start(b);
      for (int64_t t = 0; t < s_.T; ++t)
        for (int64_t b = 0; b < s_.batch_size[t]; ++b)
          if ((s_.first_row[t] + b) % size == member) round_input(b, t);
      team.barrier();
      const bool alone = share_rows && size > 1;  // with sequences of its own
      const Rows rows = alone ? Rows{member, size} : Rows{0, 1};
      const Share panels = alone ? Share(panels_, 0, 1) : mine;
      for (int64_t s = 0; s < s_.T; ++s) {
        const int64_t count = rows.count(s_.batch_size[s]);
        for (int64_t p = panels.begin; p < panels.end; ++p)
          for (int64_t i = 0; i < count; i += kMost)
            with_rows<kMost>(int(std::min<int64_t>(kMost, count - i)), [&](auto R) { tile<R>(rows, i, s, p); });
        if (!alone) team.barrier();
      }
    });
  }

 private:
  static constexpr double kRate = 4;  // of multiply-adds, with those of float32 as 1

  template <int Max, class Body>
  [[gnu::always_inline]] static inline void with_rows(int n, Body&& body) {
    if constexpr (Max > 1) {
      if (n < Max) return with_rows<Max - 1>(n, body);
    }
    body(std::integral_constant<int, Max>{});
  }

  void prepare(int64_t p) {
    Constants& to = constants_[p];
    for (int64_t g = 0; g < 4; ++g)
      for (int64_t v = 0; v < kUnit; ++v) {
        const int64_t at = g * kUnit + v, j = p * kUnit + v, row = g * a_.H + j;
        const bool used = j < a_.H;
        to.scale_x[at] = used ? a_.scale[row] : 0;
        to.scale_h[at] = used ? a_.scale[4 * a_.H + row] / 127 : 0;
        to.bias[at] = used ? a_.bias[row] : 0;
        to.start_x[at] = used ? -kZero * a_.sum[row] : 0;
        to.start_h[at] = used ? -kZero * a_.sum[4 * a_.H + row] : 0;
      }
  }

  // The input of a step as bytes.
  void round_input(int64_t b, int64_t t) {
    const int64_t n = s_.first_row[t] + b;
    const float* x = a_.x + a_.x_layout.sequence_offset[b] + a_.x_layout.step_offset[t];
    F most = {};
    for (int64_t i = 0; i < a_.I; i += L) {
      const F value = load(x + i, a_.I - i), size = value < 0 ? -value : value;
      most = (size > most) | (size != size) ? size : most;
    }
    float largest = 0;
    for (int64_t v = 0; v < L; ++v) largest = most[v] > largest || most[v] != most[v] ? most[v] : largest;
    scale_[n] = largest / 127;
    to_bytes(x, a_.I, largest > 0 ? 127 / largest : 0.0f, x_ + n * groups_x_ * kGroup, groups_x_ * kGroup);
  }

  // The initial states; a sequence without steps ends as it began.
  void start(int64_t b) {
    const int64_t q = s_.sequence[b], H = a_.H;
    to_bytes(a_.h0 + q * H, H, 127, bytes_of_state(0, b), groups_h_ * kGroup);
    for (int64_t p = 0; p < panels_; ++p) {
      const int64_t used = std::min(kUnit, H - p * kUnit);
      float* c = c_ + (p * s_.B + b) * kUnit;
      std::copy_n(a_.c0 + q * H + p * kUnit, used, c);
      std::fill(c + used, c + kUnit, 0.0f);
    }
    if (s_.length[b] > 0) return;
    std::copy_n(a_.h0 + q * H, H, a_.h_n + q * H);
    std::copy_n(a_.c0 + q * H, H, a_.c_n + q * H);
  }

  typedef uint8_t Bytes __attribute__((vector_size(L)));

  // Values within -127 .. 127 to the nearest of 1 .. 255; 128 stands for zero.
  [[gnu::always_inline]] static inline Bytes to_bytes(F value) {
    value = value > -127.0f ? value : broadcast<float>(-127);  // NaN too
    value = value < 127.0f ? value : broadcast<float>(127);
    return __builtin_convertvector(__builtin_convertvector(value + 128.5f, I32), Bytes);
  }
  // The same of n values times `factor`, then 128 up to `size`.
  static void to_bytes(const float* from, int64_t n, float factor, uint8_t* to, int64_t size) {
    for (int64_t i = 0; i < n; i += L) {
      const Bytes bytes = to_bytes(load(from + i, n - i) * factor);
      __builtin_memcpy(to + i, &bytes, size_t(std::min(L, n - i)));
    }
    std::fill(to + n, to + size, uint8_t(128));
  }

  uint8_t* bytes_of_state(int64_t s, int64_t b) const { return h_ + ((s & 1) * s_.B + b) * groups_h_ * kGroup; }

#if TEXTNN_DOT_PRODUCTS && defined(__aarch64__)
  static constexpr int32_t kZero = 0;  // SDOT takes a sign: 128 is subtracted from each byte as it is multiplied
#else
  static constexpr int32_t kZero = 128;
#endif

  // acc += 4 bytes of a row x 4 bytes of each unit's weights
  [[gnu::always_inline]] static inline void dot(I32& acc, int32_t row, const I32& weight) {
#if TEXTNN_DOT_PRODUCTS && defined(__aarch64__)
    acc = (I32)vdotq_s32((int32x4_t)acc, (int8x16_t)weight, (int8x16_t)(I32{} + (row ^ int32_t(0x80808080))));
#elif TEXTNN_DOT_PRODUCTS && TEXTNN_VECTOR_BYTES == 64
    acc = (I32)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)(I32{} + row), (__m512i)weight);
#elif TEXTNN_DOT_PRODUCTS
    acc = (I32)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)(I32{} + row), (__m256i)weight);
#else
    for (int q = 0; q < 4; ++q) acc += ((row >> 8 * q) & 255) * ((weight << (24 - 8 * q)) >> 24);
#endif
  }

  template <int R>
  [[gnu::always_inline]] static inline void multiply(I32 (&acc)[R][4][kParts], const uint8_t* const (&rows)[R],
                                                     const int8_t* weight, int64_t groups) {
    for (int64_t k = 0; k < groups; ++k, weight += 4 * kUnit * kGroup) {
      for (int g = 0; g < 4; ++g) __builtin_prefetch(weight + (8 * 4 + g) * 64);
      I32 w[4][kParts];
#pragma GCC unroll 4  // else GCC copies all of them to the stack in pieces, at four times the time in AVX-VNNI
      for (int g = 0; g < 4; ++g)
#pragma GCC unroll 4
        for (int v = 0; v < kParts; ++v)
          __builtin_memcpy(&w[g][v], weight + (g * kParts + v) * kVectorBytes, kVectorBytes);
      for (int r = 0; r < R; ++r) {
        int32_t bytes;
        __builtin_memcpy(&bytes, rows[r] + k * kGroup, sizeof bytes);
        for (int g = 0; g < 4; ++g)
          for (int v = 0; v < kParts; ++v) dot(acc[r][g][v], bytes, w[g][v]);
      }
    }
  }

  template <int R>
  [[gnu::always_inline]] static inline void begin(I32 (&acc)[R][4][kParts], const int32_t* start) {
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < 4; ++g)
        for (int v = 0; v < kParts; ++v) acc[r][g][v] = load(start + g * kUnit + v * L);
  }

  // R sequences from the i-th on, step s, panel p.
  template <int R>
  void tile(const Rows& of, int64_t i, int64_t s, int64_t p) const {
    const Constants& k = constants_[p];
    const int8_t* weight = a_.weight + p * (groups_x_ + groups_h_) * 4 * kUnit * kGroup;
    const uint8_t *x[R], *h[R];
    float scale[R];
    I32 acc[R][4][kParts];
    F pre[R][4][kParts];
    for (int r = 0; r < R; ++r) {
      const int64_t b = of[i + r], n = s_.row(b, s);
      x[r] = x_ + n * groups_x_ * kGroup;
      h[r] = bytes_of_state(s, b);
      scale[r] = scale_[n];
    }
    begin<R>(acc, k.start_x);
    multiply<R>(acc, x, weight, groups_x_);
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < 4; ++g)
        for (int v = 0; v < kParts; ++v) {
          const int64_t at = g * kUnit + v * L;
          pre[r][g][v] =
              __builtin_convertvector(acc[r][g][v], F) * (load(k.scale_x + at) * scale[r]) + load(k.bias + at);
        }
    begin<R>(acc, k.start_h);
    multiply<R>(acc, h, weight + groups_x_ * 4 * kUnit * kGroup, groups_h_);
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < kParts; ++v) {
        for (int g = 0; g < 4; ++g)
          pre[r][g][v] += __builtin_convertvector(acc[r][g][v], F) * load(k.scale_h + g * kUnit + v * L);
        finish(of[i + r], s, p, v, {pre[r][0][v], pre[r][1][v], pre[r][2][v], pre[r][3][v]});
      }
  }

  // From the pre-activations of a vector of units to all that is stored.
  void finish(int64_t b, int64_t s, int64_t p, int v, const Gates& pre) const {
    const int64_t j = p * kUnit + v * L, used = std::min(L, a_.H - j), t = s_.time(b, s);
    if (used <= 0) return;
    float* c = c_ + (p * s_.B + b) * kUnit + v * L;
    const auto state = math::lstm_update<VectorMath<float>>(math::lstm_activate<VectorMath<float>>(pre), load(c));
    store(c, state.c);
    if (a_.y) store(a_.y + a_.y_layout.sequence_offset[b] + a_.y_layout.step_offset[t] + j, state.m, used);
    if (s + 1 == s_.length[b]) {
      store(a_.h_n + s_.sequence[b] * a_.H + j, state.m, used);
      store(a_.c_n + s_.sequence[b] * a_.H + j, state.c, used);
      return;
    }
    const Bytes bytes = to_bytes(state.m * 127.0f);
    // Whole vectors but at the end: bytes behind the last unit stay 128.
    __builtin_memcpy(bytes_of_state(s + 1, b) + j, &bytes, size_t(used));
    if (used < L)
      std::fill(bytes_of_state(s + 1, b) + a_.H, bytes_of_state(s + 1, b) + groups_h_ * kGroup, uint8_t(128));
  }

  const QuantizedLstm& a_;
  const Schedule& s_;
  const int64_t panels_, groups_x_, groups_h_;
  uint8_t* x_;            // [N, groups of I, 4] packed order
  float* scale_;          // [N]
  uint8_t* h_;            // [2, B, groups of H, 4]: the state before the step, and after it
  float* c_;              // [panels, B, 16]
  Constants* constants_;  // [panels]
};

inline void quantized_lstm(const ThreadPool& pool, const QuantizedLstm& args) { QuantizedLstmKernel(args).run(pool); }

}  // namespace TEXTNN_ISA
