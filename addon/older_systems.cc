// What the C++ library refers to and older systems do not have: with definitions of our own, hidden from
// everybody else, an addon that is built on a new system runs on those, too. See docs/install.md for how old
// they may be. No header of C++ may be included here, since those declare the same names as somebody else's.
#include <stdlib.h>

#if defined(__GLIBC__)

// glibc 2.32: std::shared_ptr counts without atomics while there is a single thread, and Node always has
// more.
extern "C" {
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}

namespace std {

// libstdc++ of GCC 11: where exceptions are off, throwing ends the process.
__attribute__((visibility("hidden"))) void __throw_bad_array_new_length() {
  abort();
}

}  // namespace std

#endif
