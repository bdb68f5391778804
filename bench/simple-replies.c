// Loaded into fio in front of libnbd: its connections don't ask for structured replies.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

struct nbd_handle;

struct nbd_handle *nbd_create(void) {
  struct nbd_handle *(*create)(void) = dlsym(RTLD_NEXT, "nbd_create");
  int (*request)(struct nbd_handle *, bool) = dlsym(RTLD_NEXT, "nbd_set_request_structured_replies");
  if (!create || !request) abort();
  struct nbd_handle *handle = create();
  if (handle && request(handle, false) != 0) abort();
  return handle;
}
