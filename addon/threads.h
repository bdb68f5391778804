// Threads beside Node's own.
#pragma once

#include <pthread.h>
#include <signal.h>

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
