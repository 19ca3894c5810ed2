// In the sanitized extension: memory that is refused is std::bad_alloc, as everywhere. The sanitizer's own operator new
// ends the process instead. Not seen outside of the library.
#include <cstdlib>
#include <new>

void* operator new(size_t bytes) {
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
