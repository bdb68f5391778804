# counted.py URI: asks for something of everything with libnbd, and prints what that was, for the server's counters to be
# compared with: a JSON line for each verdict, the last of which has the numbers.
import json
import sys

import nbd

ERRORS = {"EPERM", "EIO", "EINVAL", "ENOSPC", "EOPNOTSUPP"}
counts = {}


def count(operation, length, error=None):
    tally = counts.setdefault(operation, {"requests": 0, "bytes": 0, "errors": {}})
    tally["requests"] += 1
    if error is None:
        tally["bytes"] += length
    else:
        name = {"EOPNOTSUPP": "ENOTSUP"}.get(error, error)
        tally["errors"][name] = tally["errors"].get(name, 0) + 1


def ask(operation, length, call):
    try:
        call()
        count(operation, length)
    except nbd.Error as error:
        count(operation, length, error.errno)


h = nbd.NBD()
h.add_meta_context("base:allocation")
h.set_strict_mode(0)
h.connect_uri(sys.argv[1])
size = h.get_size()
for length in (1, 512, 4096, 5000, 300000, 1 << 20):
    for offset in (0, 1, 4096, size - length, size - length + 1):
        ask("read", length, lambda: h.pread(length, offset))
        ask("write", length, lambda: h.pwrite(bytes(length), offset))
        ask("trim", length, lambda: h.trim(length, offset))
        ask("cache", length, lambda: h.cache(length, offset))
        ask("write_zeroes", length, lambda: h.zero(length, offset))
        ask("block_status", length, lambda: h.block_status(length, offset, lambda *extents: 0))
    ask("flush", 0, h.flush)
# Many at once, with answers in any order.
cookies = []
for i in range(64):
    cookies.append(h.aio_pread(nbd.Buffer(4096), i * 4096))
    count("read", 4096)
    cookies.append(h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(700)), i * 700))
    count("write", 700)
while cookies:
    h.poll(-1)
    cookies = [cookie for cookie in cookies if not h.aio_command_completed(cookie)]
h.shutdown()
print(json.dumps(counts))
