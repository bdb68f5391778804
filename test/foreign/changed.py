"""The context aionbd:changed: which 64 KiB of an export have been changed since the server opened its file.

usage: changed.py URI, which is writable and has been changed by nobody, at least 64 MiB and a part of 64 KiB
"""

import sys

import nbd

from verdicts import check, connected_to

URI = sys.argv[1]
KiB, MiB = 1 << 10, 1 << 20
GRANULE = 64 * KiB
CHANGED = "aionbd:changed"
one, other = connected_to(URI, CHANGED), connected_to(URI, CHANGED)
size = one.get_size()


def changed(h, flags=0):
    """Numbers of the granules that are said to be changed."""
    granules, position = set(), 0
    while position < size:
        got = []
        h.block_status(size - position, position, lambda context, offset, entries, error: got.extend(entries) or 0, flags)
        for length, state in zip(got[0::2], got[1::2]):
            assert state in (0, 1), state
            assert position % GRANULE == 0 and (length % GRANULE == 0 or position + length == size), (position, length)
            if state == 1:
                granules |= set(range(position // GRANULE, (position + length - 1) // GRANULE + 1))
            position += length
    return granules


def agree(sentence, want):
    check(sentence, [sorted(changed(h, flags)) for h in (one, other) for flags in (0, nbd.CMD_FLAG_REQ_ONE)], [sorted(want)] * 4)


agree("nothing is changed at the start", set())
one.pread(size % GRANULE or 1, size - (size % GRANULE or 1))
one.pread(MiB, MiB)
one.cache(MiB, 2 * MiB)
one.flush()
agree("reading, caching and flushing change nothing", set())
for wrong in (lambda: one.pwrite(bytes(2), size - 1), lambda: one.pwrite(bytes(512), 0, 1 << 6)):
    try:
        wrong()
        check("a wrong write is refused", "served", "refused")
    except nbd.Error:
        pass
agree("refused writes change nothing", set())

want = set()
for sentence, h, offset, length in [
    ("one byte", one, 5 * MiB + 1, 1),
    ("the last byte of a granule", one, 10 * GRANULE - 1, 1),
    ("the first byte of a granule", other, 20 * GRANULE, 1),
    ("two bytes across an edge, by the other connection", other, 31 * GRANULE - 1, 2),
    ("exactly two granules", other, 200 * GRANULE, 2 * GRANULE),
    ("32 MiB from an odd place", one, 20 * MiB + 5, 32 * MiB),
    ("the last byte", other, size - 1, 1),
]:
    h.pwrite(b"c" * length, offset)
    want |= set(range(offset // GRANULE, (offset + length - 1) // GRANULE + 1))
    agree(f"after a write of {sentence} its granules are changed, and no others", want)
one.pwrite(b"c", 5 * MiB + 1)
agree("a write of what is there already changes nothing more", want)
one.zero(GRANULE + 2, 60 * GRANULE - 1)
want |= {59, 60, 61}
agree("after zeroes their granules are changed", want)
one.trim(2 * GRANULE, 70 * GRANULE)
want |= {70, 71}
agree("after a trim its granules are changed", want)
third = connected_to(URI, CHANGED)
check("a new connection is told the same", sorted(changed(third)), sorted(want))
for h in (one, other, third):
    h.shutdown()
