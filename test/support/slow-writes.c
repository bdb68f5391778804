// Put in front of the C library by LD_PRELOAD: writes that take as long as MICROSECONDS says, an expression that may
// ask for the write's `offset`.
#define _GNU_SOURCE
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static void delay(off_t offset) {
  (void)offset;
  const long microseconds = MICROSECONDS;
  // A sleep takes longer than that by itself.
  if (microseconds < 1000)
    for (const long end = now() + microseconds; now() < end;);
  else
    usleep(microseconds);
}

ssize_t pwritev2(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  (void)flags;
  delay(offset);
  return pwritev(fd, parts, count, offset);
}

ssize_t pwritev64v2(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  return pwritev2(fd, parts, count, offset, flags);
}
