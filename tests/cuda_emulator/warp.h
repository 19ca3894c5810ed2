// Operations within a warp: shuffles, votes, matches, reductions.
//
// __activemask() is not offered: what it returns depends on how the hardware happens to have scheduled the warp, so
// that no emulation of it would test anything, and a kernel that takes it for a mask of participants is wrong.
#pragma once
#include <type_traits>
#include "execution.h"
#include "half.h"

namespace cuemu {

template <class T>
struct Shuffled {
  T put, got;
  int source;  // lane of the warp
};

// A lane that is not in the mask leaves the value undefined; here it has all bits set, which is a NaN.
template <class T>
T shuffle(unsigned mask, T value, int source, Where where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || is_half_type<T>, "shuffles take values of 32 or 64 bits or halves");
  Shuffled<T> mine{value, value, source};
  const auto serve = [](void* const* lanes, unsigned in) {
    for (int l = 0; l < 32; ++l) {
      if (!(in >> l & 1)) continue;
      auto& to = *static_cast<Shuffled<T>*>(lanes[l]);
      if (in >> to.source & 1)
        to.got = static_cast<const Shuffled<T>*>(lanes[to.source])->put;
      else
        std::memset(static_cast<void*>(&to.got), 0xff, sizeof(T));
    }
  };
  warp_collective(mask, &mine, serve, where);
  return mine.got;
}

// The first lane of the part of the warp, `width` lanes, in which a shuffle stays.
inline int segment(int width) { return int(current->lane()) & ~(width - 1); }

template <class T, class F>
T warp_reduce(unsigned mask, T value, F, Where where) {
  const auto serve = [](void* const* lanes, unsigned in) {
    T all{};
    bool first = true;
    for (int l = 0; l < 32; ++l) {
      if (!(in >> l & 1)) continue;
      const T one = *static_cast<const T*>(lanes[l]);
      all = first ? one : F::combine(all, one);
      first = false;
    }
    for (int l = 0; l < 32; ++l)
      if (in >> l & 1) *static_cast<T*>(lanes[l]) = all;
  };
  warp_collective(mask, &value, serve, where);
  return value;
}

struct Add {
  template <class T>
  static T combine(T a, T b) {
    return T(a + b);
  }
};
struct Min {
  template <class T>
  static T combine(T a, T b) {
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  static T combine(T a, T b) {
    return a < b ? b : a;
  }
};
struct And {
  template <class T>
  static T combine(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T combine(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T combine(T a, T b) {
    return a ^ b;
  }
};

}  // namespace cuemu

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::shuffle(mask, value, cuemu::segment(width) | (source & (width - 1)), where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, cuemu::Where where = cuemu::Where::here()) {
  const int lane = int(cuemu::current->lane()), source = lane ^ bits;
  // May read from an earlier segment, never from a later one.
  return cuemu::shuffle(mask, value, source < cuemu::segment(width) + width ? source : lane, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, cuemu::Where where = cuemu::Where::here()) {
  const int lane = int(cuemu::current->lane()), end = cuemu::segment(width) + width;
  return cuemu::shuffle(mask, value, by < unsigned(end - lane) ? lane + int(by) : lane, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, cuemu::Where where = cuemu::Where::here()) {
  const int lane = int(cuemu::current->lane()), begin = cuemu::segment(width);
  return cuemu::shuffle(mask, value, by <= unsigned(lane - begin) ? lane - int(by) : lane, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, unsigned(predicate != 0) << cuemu::current->lane(), cuemu::Or(), where);
}
inline int __any_sync(unsigned mask, int predicate, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, int(predicate != 0), cuemu::Or(), where);
}
inline int __all_sync(unsigned mask, int predicate, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, int(predicate != 0), cuemu::And(), where);
}

// The lanes of the mask that hold the same bits as this one.
template <class T>
unsigned __match_any_sync(unsigned mask, T value, cuemu::Where where = cuemu::Where::here()) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "matches take values of 32 or 64 bits");
  struct Mine {
    T value;
    unsigned same;
  } mine{value, 0};
  const auto serve = [](void* const* lanes, unsigned in) {
    for (int l = 0; l < 32; ++l) {
      if (!(in >> l & 1)) continue;
      auto& to = *static_cast<Mine*>(lanes[l]);
      for (int k = 0; k < 32; ++k)
        if (in >> k & 1 && !std::memcmp(&static_cast<Mine*>(lanes[k])->value, &to.value, sizeof(T))) to.same |= 1u << k;
    }
  };
  cuemu::warp_collective(mask, &mine, serve, where);
  return mine.same;
}

// Of devices with compute capability 8.0 and above.
template <class T>
T __reduce_add_sync(unsigned mask, T value, cuemu::Where where = cuemu::Where::here()) {
  static_assert(std::is_integral<T>::value && sizeof(T) == 4, "warp reductions take integers of 32 bits");
  return cuemu::warp_reduce(mask, value, cuemu::Add(), where);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, cuemu::Where where = cuemu::Where::here()) {
  static_assert(std::is_integral<T>::value && sizeof(T) == 4, "warp reductions take integers of 32 bits");
  return cuemu::warp_reduce(mask, value, cuemu::Min(), where);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, cuemu::Where where = cuemu::Where::here()) {
  static_assert(std::is_integral<T>::value && sizeof(T) == 4, "warp reductions take integers of 32 bits");
  return cuemu::warp_reduce(mask, value, cuemu::Max(), where);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, value, cuemu::And(), where);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, value, cuemu::Or(), where);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, cuemu::Where where = cuemu::Where::here()) {
  return cuemu::warp_reduce(mask, value, cuemu::Xor(), where);
}
