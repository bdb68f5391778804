// Threads beside Node's own.
#pragma once

#include <pthread.h>
#include <signal.h>

// glibc 2.32 and 2.34 took these functions over from libpthread and gave them new versions. By their older
// ones, which mean the same functions, an addon that is built on a new system runs on older ones, too.
#if defined(__GLIBC__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver pthread_sigmask, pthread_sigmask@GLIBC_2.2.5");
__asm__(".symver pthread_setname_np, pthread_setname_np@GLIBC_2.12");
#elif defined(__GLIBC__) && defined(__aarch64__) && !defined(__SANITIZE_ADDRESS__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.17");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.17");
__asm__(".symver pthread_sigmask, pthread_sigmask@GLIBC_2.17");
__asm__(".symver pthread_setname_np, pthread_setname_np@GLIBC_2.17");
#endif

namespace aionbd {

// Starts a thread that takes no signals, since those are Node's business. False when there is no thread to be
// had. (std::thread would throw then, and nothing here may throw.)
inline bool start_thread(pthread_t* thread, void* (*run)(void*), void* argument) {
  sigset_t all, before;
  sigfillset(&all);
  // The new thread inherits the mask.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error == 0;
}

}  // namespace aionbd
