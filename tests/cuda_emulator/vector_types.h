// The built-in vector types with CUDA's sizes and alignments, so that a misaligned load of one is seen by the
// undefined-behaviour sanitizer.
#pragma once

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

// name2, name3 and name4 of a type, each with its make_ function; the names are made by pasting, which only a macro
// does. align4 is the alignment of the vector of four, which is 16 bytes at most.
#define CUEMU_VECTORS(type, name, align4)                                     \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                    \
  struct name##3 { type x, y, z; };                                           \
  struct alignas(align4) name##4 { type x, y, z, w; };                        \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }            \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; } \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

CUEMU_VECTORS(float, float, 16)
CUEMU_VECTORS(int, int, 16)
CUEMU_VECTORS(short, short, 8)
CUEMU_VECTORS(unsigned short, ushort, 8)
CUEMU_VECTORS(signed char, char, 4)
CUEMU_VECTORS(unsigned char, uchar, 4)
#undef CUEMU_VECTORS

// uint3 exists above, 64-bit vectors have no use as triples.
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(16) double4 {
  double x, y, z, w;
};
struct alignas(16) longlong2 {
  long long x, y;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline double4 make_double4(double x, double y, double z, double w) { return {x, y, z, w}; }
inline longlong2 make_longlong2(long long x, long long y) { return {x, y}; }
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) { return {x, y}; }
