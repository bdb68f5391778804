# nodelay.py PID PORT: the kernel's word on TCP_NODELAY of every connection that PID has on its local port PORT, as a
# JSON list. Takes a copy of each descriptor (pidfd_getfd), so it needs the right to trace PID.

import ctypes
import json
import os
import socket
import sys

PIDFD_GETFD = 438
libc = ctypes.CDLL(None, use_errno=True)
pid, port = int(sys.argv[1]), int(sys.argv[2])
process = os.pidfd_open(pid)
found = []
for name in os.listdir(f"/proc/{pid}/fd"):
    try:
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
    except FileNotFoundError:
        continue
    descriptor = libc.syscall(PIDFD_GETFD, process, int(name), 0)
    if descriptor < 0:
        sys.exit(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    with socket.socket(fileno=descriptor) as copy:
        if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.getsockname()[1] != port:
            continue
        if not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
print(json.dumps(found))
