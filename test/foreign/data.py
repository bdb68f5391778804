"""What is written reads back, whatever is between the client and the server.

usage: data.py URI SIZE FILE: the export holds FILE's contents, SIZE bytes, at least 64 MiB; FILE gets what it holds in
the end
"""

import random
import sys

import nbd

from verdicts import answer, check

URI, SIZE, FILE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
KiB, MiB = 1 << 10, 1 << 20
model = bytearray(open(FILE, "rb").read())
rng = random.Random(1)


def opened():
    h = nbd.NBD()
    h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    h.connect_uri(URI)
    return h


def same(h, offset, length):
    return h.pread(length, offset) == model[offset : offset + length]


def write(h, offset, length, flags=0):
    data = rng.randbytes(length)
    model[offset : offset + length] = data
    h.pwrite(data, offset, flags)


def whole(h):
    return all(same(h, offset, min(8 * MiB, SIZE - offset)) for offset in range(0, SIZE, 8 * MiB))


def finish(h, *pending):
    """Waits for requests, which are cookies."""
    while h.aio_in_flight() > 0:
        h.poll(-1)
    for cookie in pending:
        h.aio_command_completed(cookie)


def around(h):
    edges = [0, 511, 512, 4095, 4096, 64 * KiB - 1, 64 * KiB, MiB, 5 * MiB + 12345, SIZE - 8 * KiB]
    lengths = [1, 2, 511, 512, 513, 4095, 4096, 4097]
    right = True
    for offset in edges:
        for length in lengths:
            write(h, offset, length, nbd.CMD_FLAG_FUA if length % 2 else 0)
            right = right and same(h, max(offset - 600, 0), min(length + 1200, SIZE - max(offset - 600, 0)))
    check("writes around the edges of sectors, blocks and granules read back, and their neighbours too", right, True)
    write(h, SIZE - 1, 1)
    check("the last byte is written", same(h, SIZE - 4096, 4096), True)
    write(h, 8 * MiB + 3, 17 * MiB)
    check("17 MiB in one request are written", same(h, 8 * MiB, 17 * MiB + 4096), True)
    check("and 32 MiB in one request are read", same(h, 4 * MiB, 32 * MiB), True)


def at_once(h):
    pending = []
    for n in range(200):
        data = rng.randbytes(333)
        offset = 40 * MiB + n * 333
        model[offset : offset + 333] = data
        pending.append(h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset))
    finish(h, *pending)
    check("200 neighbours written at once, several to a block, are all there", same(h, 40 * MiB - 4096, 80 * KiB), True)
    buffers = [(nbd.Buffer(100_000), rng.randrange(SIZE - 100_000)) for _ in range(100)]
    finish(h, *[h.aio_pread(buffer, offset) for buffer, offset in buffers])
    right = sum(buffer.to_bytearray() == model[offset : offset + 100_000] for buffer, offset in buffers)
    check("100 reads at once all bring the right bytes", right, 100)


def zeroes(h):
    ways = [("", 0), (" and no hole", nbd.CMD_FLAG_NO_HOLE), (", at once", nbd.CMD_FLAG_FUA)]
    for n, (name, flags) in enumerate(ways):
        for offset, length in [(16 * MiB, 2 * MiB), (19 * MiB + 5, 300_001), (20 * MiB + 100, 20)]:
            offset += n * 5 * MiB
            write(h, offset - 5000, length + 10_000)
            model[offset : offset + length] = bytes(length)
            h.zero(length, offset, flags)
            check(f"{length} bytes of zeroes{name}: they are there, and their neighbours too", same(h, offset - 5000, length + 10_000), True)
    if h.can_fast_zero():
        write(h, 2 * MiB, MiB)
        outcome = answer(h.zero, MiB, 2 * MiB, nbd.CMD_FLAG_FAST_ZERO)
        if outcome == "OK":
            model[2 * MiB : 3 * MiB] = bytes(MiB)
        check("fast zeroes are zeroes, or nothing has changed", [outcome in ("OK", "ENOTSUP"), same(h, MiB, 3 * MiB)], [True, True])


def trims(h):
    for offset, length in [(36 * MiB, 4 * MiB), (44 * MiB + 77, 500_000)]:
        write(h, offset - 5000, length + 10_000)
        h.trim(length, offset)
        check(f"a trim of {length} bytes leaves its neighbours", same(h, offset - 5000, 5000) and same(h, offset + length, 5000), True)
        write(h, offset - 100, length + 200)
        check("and the place is written again", same(h, offset - 5000, length + 10_000), True)


def statuses(h):
    h.zero(8 * MiB, 48 * MiB)
    model[48 * MiB : 56 * MiB] = bytes(8 * MiB)
    h.flush()
    position, holes, lies = 0, 0, 0
    while position < SIZE:
        extents = []
        h.block_status(SIZE - position, position, lambda context, offset, entries, error: extents.append(entries) or 0)
        for length, flags in zip(extents[0][0::2], extents[0][1::2]):
            length = min(length, SIZE - position)
            if flags & nbd.STATE_ZERO:
                holes += length
                lies += any(model[position : position + length])
            position += length
    check("nothing is said to be zero that is not", lies, 0)
    check("8 MiB that were zeroed are said to be zero", holes >= 8 * MiB, True)


def connections(h):
    check("several connections may share the export", h.can_multi_conn(), True)
    four = [opened() for _ in range(4)]
    for n in range(40):
        write(four[n % 4], 3 * MiB + n * 5000, 5000)
    pending = []
    for n, one in enumerate(four):
        data = bytearray(rng.randbytes(4 * MiB))
        model[(20 + 4 * n) * MiB : (24 + 4 * n) * MiB] = data
        pending.append((one, one.aio_pwrite(nbd.Buffer.from_bytearray(data), (20 + 4 * n) * MiB)))
    for one, cookie in pending:
        finish(one, cookie)
    four[0].flush()
    right = [same(one, 3 * MiB - 4096, 40 * 5000 + 8192) and same(one, 19 * MiB, 18 * MiB) for one in four]
    check("what four connections wrote, each of them reads", right, [True] * 4)
    for one in four:
        one.shutdown()


h = opened()
check("the size is right", h.get_size(), SIZE)
check("all that was there is there", whole(h), True)
around(h)
at_once(h)
zeroes(h)
trims(h)
statuses(h)
connections(h)
h.flush()
check("everything is as it should be", whole(h), True)
h.shutdown()
open(FILE, "wb").write(model)
