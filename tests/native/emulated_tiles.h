// The tiles of AMX in plain C++, of a thread: part of emulated_instructions.h.
//
// TDPBF16PS as in Intel's manual: of each element the products of the first factors of all pairs are added up, and
// those of the second ones, each by a fused multiply-add; then both sums are added, and the result to the element. All
// round to the nearest even, with subnormal numbers zero on the way in and out.
#pragma once

namespace textnn_emulated {

struct TileState {
  struct Tile {
    int rows = 0, row_bytes = 0;
    uint32_t at[16][16] = {};
  };
  Tile tiles[8];
  bool configured = false;
};
inline thread_local TileState tile_state;

[[noreturn]] inline void tile_fault(const char* what) {
  std::fprintf(stderr, "emulated tiles: %s\n", what);
  std::abort();
}

inline void tile_loadconfig(const void* config) {
  const auto* bytes = static_cast<const uint8_t*>(config);
  if (tile_state.configured) tile_fault("not released since the last configuration");
  if (bytes[0] != 1 || bytes[1] != 0) tile_fault("another palette or an interrupted instruction");
  tile_state = TileState{};
  for (int i = 0; i < 16; ++i) {
    uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof row_bytes);
    const int rows = bytes[48 + i];
    if (i >= 8 ? rows || row_bytes : rows > 16 || row_bytes > 64 || !rows != !row_bytes) tile_fault("a bad shape");
    if (i < 8) tile_state.tiles[i].rows = rows, tile_state.tiles[i].row_bytes = row_bytes;
  }
  for (int i = 2; i < 16; ++i)
    if (bytes[i]) tile_fault("reserved bytes that are not zero");
  tile_state.configured = true;
}
inline void tile_release() { tile_state = TileState{}; }

inline TileState::Tile& tile(int i) {
  if (!tile_state.configured || !tile_state.tiles[i].rows) tile_fault("used without a shape");
  return tile_state.tiles[i];
}
inline void tile_zero(int i) { std::memset(tile(i).at, 0, sizeof tile(i).at); }
inline void tile_loadd(int i, const void* from, int64_t stride) {
  TileState::Tile& to = tile(i);
  std::memset(to.at, 0, sizeof to.at);
  for (int r = 0; r < to.rows; ++r)
    std::memcpy(to.at[r], static_cast<const char*>(from) + r * stride, size_t(to.row_bytes));
}
inline void tile_stored(int i, void* to, int64_t stride) {
  const TileState::Tile& from = tile(i);
  for (int r = 0; r < from.rows; ++r)
    std::memcpy(static_cast<char*>(to) + r * stride, from.at[r], size_t(from.row_bytes));
}

// The factors of each row: the first ones of all pairs, then the second ones.
inline void tile_factors(const TileState::Tile& of, float (&to)[16][2][16]) {
  for (int r = 0; r < 16; ++r)
    for (int i = 0; i < 16; ++i) {
      to[r][0][i] = without_subnormals(value(of.at[r][i] << 16));
      to[r][1][i] = without_subnormals(value(of.at[r][i] & 0xffff0000u));
    }
}
inline void tile_dpbf16ps(int c, int a, int b) {
  TileState::Tile& sums = tile(c);
  const TileState::Tile &first = tile(a), &second = tile(b);
  if (c == a || c == b || a == b || first.row_bytes % 4 || sums.row_bytes != second.row_bytes ||
      first.rows != sums.rows || first.row_bytes / 4 != second.rows)
    tile_fault("shapes that do not fit each other");
  float x[16][2][16], y[16][2][16];
  tile_factors(first, x);
  tile_factors(second, y);
  for (int m = 0; m < sums.rows; ++m) {
    float parts[2][16] = {};
    for (int k = 0; k < second.rows; ++k)
      for (int p = 0; p < 2; ++p)
        for (int n = 0; n < 16; ++n) parts[p][n] = without_subnormals(std::fma(x[m][p][k], y[k][p][n], parts[p][n]));
    for (int n = 0; n < sums.row_bytes / 4; ++n) {
      const float both = without_subnormals(parts[0][n] + parts[1][n]);
      sums.at[m][n] = bits(without_subnormals(without_subnormals(value(sums.at[m][n])) + both));
    }
  }
}

}  // namespace textnn_emulated

// GCC has them as macros or as functions.
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#undef _tile_loadconfig
#undef _tile_release
#define _tile_loadconfig(config) textnn_emulated::tile_loadconfig(config)
#define _tile_release() textnn_emulated::tile_release()
#define _tile_zero(i) textnn_emulated::tile_zero(i)
#define _tile_loadd(i, from, stride) textnn_emulated::tile_loadd(i, from, stride)
#define _tile_stored(i, to, stride) textnn_emulated::tile_stored(i, to, stride)
#define _tile_dpbf16ps(c, a, b) textnn_emulated::tile_dpbf16ps(c, a, b)
