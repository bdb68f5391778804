"""Block status, and how zeroing and trimming change it.

usage: block_status.py URI FILE KIND: the export is FILE, at least 64 MiB, with holes and data; KIND is "disk" or "tmpfs",
what FILE lies on. In FILE are data from 8 to 24 MiB and a hole from 32 to 64 MiB.
"""

import os
import random
import sys

import nbd

from verdicts import answer, check, connected_to, lives

URI, FILE, KIND = sys.argv[1:4]
KiB, MiB = 1 << 10, 1 << 20
SIZE = os.stat(FILE).st_size
HOLE = nbd.STATE_HOLE | nbd.STATE_ZERO
ALLOCATION, CHANGED = nbd.CONTEXT_BASE_ALLOCATION, "aionbd:changed"
file = os.open(FILE, os.O_RDWR)


def extents_of_file(start, end):
    """[length, flags] by the file itself."""
    extents = []
    while start < end:
        try:
            data = min(os.lseek(file, start, os.SEEK_DATA), end)
        except OSError:
            data = end
        if data > start:
            extents.append([data - start, HOLE])
        if data == end:
            break
        start = min(os.lseek(file, data, os.SEEK_HOLE), end)
        extents.append([start - data, 0])
    return extents


def status(h, offset, length, flags=0):
    """What each context says, as [context, extents], in the order of the answer."""
    got = []
    h.block_status(length, offset, lambda name, at, entries, error: got.append([name, [list(e) for e in zip(entries[0::2], entries[1::2])]]) or 0, flags)
    return got


def is_whole(extents, offset, length):
    """The server may tell less than it was asked for, but it never needs to for so little, and never tells more."""
    return sum(extent[0] for extent in extents) == length and extents == extents_of_file(offset, offset + length)


def ranges(h):
    rng = random.Random(3)
    fixed = [(0, SIZE), (0, 1), (SIZE - 1, 1), (8 * MiB - 1, 2), (24 * MiB - 1, 2), (8 * MiB, 16 * MiB), (32 * MiB, 32 * MiB), (1, SIZE - 2)]
    free = [(offset, rng.randint(1, SIZE - offset)) for offset in (rng.randrange(SIZE) for _ in range(100))]
    wrong, wrong_one = [], []
    for offset, length in fixed + free:
        got = status(h, offset, length)
        if len(got) != 1 or got[0][0] != ALLOCATION or not is_whole(got[0][1], offset, length):
            wrong.append([offset, length, got])
        one = status(h, offset, length, nbd.CMD_FLAG_REQ_ONE)
        if one != [[ALLOCATION, extents_of_file(offset, offset + length)[:1]]]:
            wrong_one.append([offset, length, one])
    check("the status of any range, aligned or not, is that of the file and ends where the range does", wrong[:1], [])
    check("with REQ_ONE it is one extent, no longer than the range", wrong_one[:1], [])


def several():
    both = connected_to(URI, ALLOCATION, CHANGED)
    check("both contexts can be had at once", [both.can_meta_context(c) for c in (ALLOCATION, CHANGED)], [True, True])
    for name, flags in [("", 0), (" with REQ_ONE", nbd.CMD_FLAG_REQ_ONE)]:
        got = dict(status(both, 7 * MiB + 1, 2 * MiB, flags))
        want = extents_of_file(7 * MiB + 1, 9 * MiB + 1)
        check(f"several contexts are told in one answer, each once{name}", sorted(got), sorted([ALLOCATION, CHANGED]))
        check(f"each tells its own{name}", [got[ALLOCATION], got[CHANGED]], [want[:1] if flags else want, [[2 * MiB, 0]]])
    one = connected_to(URI, CHANGED)
    check("one context alone can be had", [c for c, _ in status(one, 0, MiB)], [CHANGED])
    for one in (one, both):
        one.shutdown()


def zeroes(h):
    def blocks():
        return os.fstat(file).st_blocks * 512

    def zeroed(offset, length):
        return h.pread(length, offset) == bytes(length)

    def state(offset, length):
        return status(h, offset, length)[0][1]

    before = blocks()
    check("zeroes over data with NO_HOLE", answer(h.zero, 2 * MiB, 8 * MiB, nbd.CMD_FLAG_NO_HOLE), "OK")
    check("keep its blocks", blocks() >= before, True)
    check("are zeroes", zeroed(8 * MiB, 2 * MiB), True)
    check("zeroes into a hole with NO_HOLE", answer(h.zero, 2 * MiB, 40 * MiB, nbd.CMD_FLAG_NO_HOLE), "OK")
    check("take blocks", blocks() >= before + 2 * MiB, True)
    check("are zeroes there too", zeroed(40 * MiB, 2 * MiB), True)

    before = blocks()
    check("zeroes over data without it", answer(h.zero, 2 * MiB, 12 * MiB), "OK")
    check("give its blocks back", blocks() <= before - 2 * MiB + 64 * KiB, True)
    check("and are said to be a hole", state(12 * MiB, 2 * MiB), [[2 * MiB, HOLE]])
    check("are zeroes, too", zeroed(12 * MiB, 2 * MiB), True)
    before = blocks()
    check("a trim of data", answer(h.trim, 2 * MiB, 16 * MiB), "OK")
    check("gives its blocks back", blocks() <= before - 2 * MiB + 64 * KiB, True)
    check("and is said to be a hole", state(16 * MiB, 2 * MiB), [[2 * MiB, HOLE]])
    check("what lies before and behind is still data", state(16 * MiB - 1, 2 * MiB + 2), [[1, 0], [2 * MiB, HOLE], [1, 0]])
    check("an unaligned trim", answer(h.trim, 100_000, 20 * MiB + 100), "OK")
    start, end = 20 * MiB + 4096, (20 * MiB + 100_100) // 4096 * 4096
    check("makes a hole of its whole blocks", state(start, end - start), [[end - start, HOLE]])
    check("and of nothing else", [state(20 * MiB, 100), state(20 * MiB + 100_100, 100)], [[[100, 0]], [[100, 0]]])
    check("a write into a hole", answer(h.pwrite, b"w" * 5000, 50 * MiB + 1), "OK")
    check("makes data of it at once", state(50 * MiB + 1, 5000), [[5000, 0]])

    data = os.urandom(2 * MiB)
    for name, flags, want in [
        ("fast zeroes", nbd.CMD_FLAG_FAST_ZERO, "OK"),
        # tmpfs can zero what stays allocated only by writing to it.
        ("fast zeroes with NO_HOLE", nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE, "OK" if KIND == "disk" else "ENOTSUP"),
    ]:
        for where, offset, length in [("over whole blocks", 22 * MiB, MiB), ("from inside a block to inside another", 22 * MiB + 5, MiB - 77)]:
            h.pwrite(data, 22 * MiB)
            check(f"{name} {where}", answer(h.zero, length, offset, flags), want)
            model = bytearray(data)
            if want == "OK":
                model[offset - 22 * MiB : offset - 22 * MiB + length] = bytes(length)
            told = "are zeroes, and nothing else is" if want == "OK" else "that are refused change nothing"
            check(f"{name} {where} {told}", h.pread(2 * MiB, 22 * MiB) == model, True)
    check("zeroes with NO_HOLE that may be slow", answer(h.zero, MiB, 22 * MiB, nbd.CMD_FLAG_NO_HOLE), "OK")
    check("are served (X14)", zeroed(22 * MiB, MiB), True)


def caching(h):
    for name, offset, length in [("one byte", 0, 1), ("an unaligned range", 5_000_001, 3_333_333), ("everything", 0, SIZE)]:
        check(f"{name} can be cached", answer(h.cache, length, offset), "OK")
    check("the connection lives after that", lives(h), True)


def refusals(h):
    def ask(offset=0, length=512, flags=0):
        return answer(status, h, offset, length, flags)

    for where, offset, length in [("by one byte", SIZE - 1, 2), ("altogether", SIZE, 1), ("by far", 1 << 62, 1 << 20)]:
        for name, call, want in [
            ("block status", lambda: ask(offset, length), "EINVAL"),
            ("a read", lambda: answer(h.pread, length, offset), "EINVAL"),
            ("a write", lambda: answer(h.pwrite, bytes(length), offset), "ENOSPC"),
            ("a trim", lambda: answer(h.trim, length, offset), "EINVAL"),
            ("caching", lambda: answer(h.cache, length, offset), "EINVAL"),
            ("zeroing", lambda: answer(h.zero, length, offset), "ENOSPC"),
            ("fast zeroing", lambda: answer(h.zero, length, offset, nbd.CMD_FLAG_FAST_ZERO), "ENOSPC"),
        ]:
            check(f"{name} past the end {where} answers {want} in chunks too (X8)", [call(), lives(h)], [want, True])
    check("block status of no bytes answers EINVAL", [ask(0, 0), lives(h)], ["EINVAL", True])
    flags = {"NO_HOLE": 1 << 1, "DF": 1 << 2, "REQ_ONE": 1 << 3, "FAST_ZERO": 1 << 4, "PAYLOAD_LEN": 1 << 5, "bit 6": 1 << 6, "bit 15": 1 << 15}
    for name, call, fitting in [
        ("block status", lambda flag: ask(flags=flag), ("REQ_ONE",)),
        ("a read", lambda flag: answer(h.pread, 512, 0, flag), ("DF",)),
        ("a write", lambda flag: answer(h.pwrite, bytes(512), 0, flag), ()),
        ("a flush", lambda flag: answer(h.flush, flag), ()),
        ("a trim", lambda flag: answer(h.trim, 512, 0, flag), ()),
        ("caching", lambda flag: answer(h.cache, 512, 0, flag), ()),
        ("zeroing", lambda flag: answer(h.zero, 512, 0, flag), ("NO_HOLE", "FAST_ZERO")),
    ]:
        for flag_name, flag in flags.items():
            want = "OK" if flag_name in fitting else "EINVAL"
            check(f"{name} with {flag_name} answers {want} in chunks too (X9)", [call(flag), lives(h)], [want, True])
        check(f"{name} with FUA is served in chunks too (X9)", [call(nbd.CMD_FLAG_FUA), lives(h)], ["OK", True])
    bare = connected_to(URI)
    check("block status without a context answers EINVAL (X15)", [answer(status, bare, 0, 512), lives(bare)], ["EINVAL", True])
    bare.shutdown()


h = connected_to(URI, ALLOCATION)
ranges(h)
several()
zeroes(h)
ranges(h)
caching(h)
refusals(h)
h.shutdown()
