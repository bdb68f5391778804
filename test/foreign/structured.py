"""Reads in chunks: holes as holes and data as data, or all in one chunk for those who want it so.

usage: structured.py URI FILE: the export holds FILE's contents, at least 96 MiB, with holes; nobody writes to it
"""

import os
import sys
import time

import nbd

from verdicts import answer, check, connected_to, lives

URI, FILE = sys.argv[1:3]
KiB, MiB = 1 << 10, 1 << 20
GRANULE = 64 * KiB
SIZE = os.stat(FILE).st_size
file = open(FILE, "rb")
KINDS = {nbd.READ_DATA: "data", nbd.READ_HOLE: "hole", nbd.READ_ERROR: "error"}
h = connected_to(URI)


def contents(offset, length):
    file.seek(offset)
    return file.read(length)


def holes_of_file():
    """Granules without any data, by the file itself: the last one may be short."""
    holes = set(range((SIZE + GRANULE - 1) // GRANULE))
    position = 0
    while True:
        try:
            data = os.lseek(file.fileno(), position, os.SEEK_DATA)
        except OSError:
            return holes
        position = os.lseek(file.fileno(), data, os.SEEK_HOLE)
        holes -= set(range(data // GRANULE, (position - 1) // GRANULE + 1))


def chunks(offset, length, flags=0):
    """What a read brought: kind, offset and bytes of each chunk, in the order of their offsets; and all the bytes."""
    got = []
    whole = h.pread_structured(length, offset, lambda data, at, kind, error: got.append((at, KINDS[kind], bytes(data))) or 0, flags)
    return sorted(got), whole


def judge(offset, length):
    """What is wrong with the answer to a read, or "right"."""
    got, whole = chunks(offset, length)
    if whole != contents(offset, length):
        return "other bytes than the file's"
    position = offset
    for at, kind, data in got:
        if at != position:
            return f"a chunk at {at} where one at {position} should be"
        if not data:
            return f"an empty chunk at {at}"
        if data != contents(at, len(data)):
            return f"other bytes than the file's in {kind} at {at}"
        first, last = at // GRANULE, (at + len(data) - 1) // GRANULE
        for granule in range(first, last + 1):
            if (granule in holes) != (kind == "hole"):
                return f"{kind} at {at}, {len(data)} bytes: granule {granule} is {'a hole' if granule in holes else 'not'}"
        position += len(data)
    return "right" if position == offset + length else f"an end at {position}"


holes = holes_of_file()
check("the file has holes and data", len(holes) > 100 and len(holes) < SIZE // GRANULE - 100, True)
check("replies are structured", h.get_structured_replies_negotiated(), True)
check("DF may be asked for", h.can_df(), True)

# The server looks for the holes when the first client comes. Until it has found them they are data to it.
deadline = time.monotonic() + 20
last_hole = max(holes) * GRANULE
while chunks(last_hole, 1)[0][0][1] != "hole" and time.monotonic() < deadline:
    time.sleep(0.01)

a_hole, an_end = min(holes) * GRANULE, SIZE // 2
for length in (1, 511, 4 * KiB, 64 * KiB, 64 * KiB + 1, MiB - 7, 32 * MiB):
    for offset in (0, 1, a_hole, a_hole - 1, a_hole + 4095, an_end, an_end + 12345, SIZE - length):
        check(f"{length} bytes at {offset} come as the holes and the data that they are", judge(offset, length), "right")
for length in (1, 64 * KiB, 32 * MiB):
    for name, offset in (("the beginning", 0), ("a hole", a_hole), ("an odd place", an_end + 12345), ("the end", SIZE - length)):
        got, whole = chunks(offset, length, nbd.CMD_FLAG_DF)
        shape = [(at, kind, len(data)) for at, kind, data in got]
        check(f"with DF {length} bytes at {name} come in one chunk of data", shape, [[offset, "data", length]])
        check(f"with DF {length} bytes at {name} are right", whole == contents(offset, length) and got[0][2] == whole, True)

for name, length, offset in [("by one byte", 2, SIZE - 1), ("altogether", 512, SIZE), ("by 32 MiB", 32 * MiB, SIZE - 1)]:
    for flags in (0, nbd.CMD_FLAG_DF):
        check(f"a read past the end {name} answers EINVAL, flags {flags}", answer(h.pread, length, offset, flags), "EINVAL")
        check(f"the connection lives after it, flags {flags}", lives(h), True)
check("a read of more than 32 MiB answers EINVAL", answer(h.pread, 32 * MiB + 1, 0), "EINVAL")
check("the connection lives after it", lives(h), True)
h.shutdown()

simple = nbd.NBD()
simple.set_request_structured_replies(False)
simple.set_strict_mode(0)
simple.connect_uri(URI)
check("whoever does not ask for structured replies gets simple ones", simple.get_structured_replies_negotiated(), False)
check("DF is not offered with simple replies (X6)", simple.can_df(), False)
right = all(simple.pread(length, offset) == contents(offset, length) for length in (1, 64 * KiB, 32 * MiB) for offset in (0, a_hole - 1, SIZE - length))
check("simple replies bring holes and data as bytes", right, True)
check("DF with simple replies answers EINVAL (X6)", answer(simple.pread, 512, 0, nbd.CMD_FLAG_DF), "EINVAL")
check("the connection lives after it, with simple replies", lives(simple), True)
simple.shutdown()
