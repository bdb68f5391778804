// Put in front of the C library by LD_PRELOAD: the first socket that a thread other than the main one wants to hear of
// is refused, as if the kernel had no room for one more watch.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_flag refused = ATOMIC_FLAG_INIT;

int epoll_ctl(int epoll, int op, int fd, struct epoll_event* event) {
  struct stat file;
  if (op == EPOLL_CTL_ADD && gettid() != getpid() && fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode) &&
      !atomic_flag_test_and_set(&refused)) {
    errno = ENOSPC;
    return -1;
  }
  static int (*next)(int, int, int, struct epoll_event*);
  if (!next) next = dlsym(RTLD_NEXT, "epoll_ctl");
  return next(epoll, op, fd, event);
}
