"""What is read and written through bench/floor.c is what the file holds.

usage: floor.py URI FILE SEED: the export is FILE, of some MiB

Requests are on their way together and never overlap, on several connections at once: writes first, each with bytes of
its own, then reads of all of them and of what was never written.
"""

import json
import random
import sys

import nbd

URI, FILE, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3])
KiB = 1 << 10
rng = random.Random(SEED)
model = bytearray(open(FILE, "rb").read())
SIZE = len(model)


def check(name, got, want):
    print(json.dumps({"name": name, "got": got, "want": want}), flush=True)


def connected(structured=True):
    handle = nbd.NBD()
    handle.set_request_structured_replies(structured)
    handle.connect_uri(URI)
    return handle


def finish(handles):
    """Every request is answered; the client never waits for what the server has not been asked for."""
    while any(handle.aio_in_flight() for handle in handles):
        for handle in handles:
            if handle.aio_in_flight():
                handle.poll(20_000) or sys.exit("a request was not answered within 20 s")
            while handle.aio_in_flight() and (cookie := handle.aio_peek_command_completed()) > 0:
                handle.aio_command_completed(cookie)


def together(handles, block):
    """All blocks of this size in any order, every second one written, then all read."""
    offsets = list(range(0, SIZE - block + 1, block))
    rng.shuffle(offsets)
    written = offsets[::2]
    for turn, offset in enumerate(written):
        data = rng.randbytes(block)
        model[offset : offset + block] = data
        handles[turn % len(handles)].aio_pwrite(data, offset)
    finish(handles)
    buffers = [(offset, nbd.Buffer(block)) for offset in offsets]
    for turn, (offset, buffer) in enumerate(buffers):
        handles[turn % len(handles)].aio_pread(buffer, offset)
    finish(handles)
    wrong = [offset for offset, buffer in buffers if buffer.to_bytearray() != model[offset : offset + block]]
    what = f"blocks of {block // KiB} KiB, {len(handles)} connections: what was written is read, {len(offsets)} requests at once"
    check(what, wrong, [])


for size in (4, 64, 256, 1024):
    handles = [connected()]
    together(handles, size * KiB)
    handles += [connected() for _ in range(3)]
    together(handles, size * KiB)
    for handle in handles:
        handle.shutdown()

# Reads and writes of all sizes behind each other in one stream, so that payloads come in pieces and requests with them.
handle = connected(structured=False)
at, reads = 0, []
while at < SIZE:
    length = min(rng.choice((4, 4, 4, 12, 60, 256, 700)) * KiB, SIZE - at)
    if rng.random() < 0.6:
        data = rng.randbytes(length)
        model[at : at + length] = data
        handle.aio_pwrite(data, at)
    else:
        buffer = nbd.Buffer(length)
        reads.append((at, buffer))
        handle.aio_pread(buffer, at)
    at += length
finish([handle])
wrong = [offset for offset, buffer in reads if buffer.to_bytearray() != model[offset : offset + buffer.size()]]
check("simple replies, sizes that change: what was there is read", wrong, [])
handle.shutdown()

# One that goes away with many replies under way.
handle = connected()
buffers = [nbd.Buffer(1 << 20) for _ in range(100)]
for turn, buffer in enumerate(buffers):
    handle.aio_pread(buffer, turn % (SIZE >> 20) << 20)
handle.poll(20_000)
del handle, buffers
handle = connected()
check("a client that goes away takes nobody with it", handle.pread(4 * KiB, 0) == model[: 4 * KiB], True)
handle.shutdown()

with open(FILE, "rb") as file:
    content = file.read()
check("the file holds what was written, and nothing else has changed", content == model, True)
