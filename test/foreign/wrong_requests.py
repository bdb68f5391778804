"""Requests that a server must refuse, each with the right error, and the connection lives or is dropped by the rules.

usage: wrong_requests.py SOCKET SIZE: exports "disk" (SIZE bytes, writable, at least 128 MiB) and "locked" (read-only)
"""

import os
import sys

import nbd

from raw import BLOCK_STATUS, CACHE, DISC, FLUSH, FUA, READ, TRIM, WRITE, WRITE_ZEROES, Closed, Raw
from verdicts import answer, check, check_in, connected, lives

SOCKET, SIZE = sys.argv[1], int(sys.argv[2])
MiB = 1 << 20


def past_the_end():
    h = connected(SOCKET, "disk")
    two = bytes(2)
    for where, offset, length in [
        ("by one byte", SIZE - 1, 2),
        ("from the end on", SIZE, 2),
        ("from 2^63 on", 1 << 63, 2),
        ("so that offset + length is more than 2^64", (1 << 64) - 1, 2),
    ]:
        check(f"a read past the end {where} answers EINVAL (X8)", answer(h.pread, length, offset), "EINVAL")
        check(f"a write past the end {where} answers ENOSPC (X7, X8)", answer(h.pwrite, two, offset), "ENOSPC")
        check(f"a trim past the end {where} answers EINVAL (X8)", answer(h.trim, length, offset), "EINVAL")
        check(f"zeroing past the end {where} answers ENOSPC (X8)", answer(h.zero, length, offset), "ENOSPC")
        check(f"caching past the end {where} answers EINVAL (X8)", answer(h.cache, length, offset), "EINVAL")
        check(f"the connection lives after requests past the end {where}", lives(h), True)
    check("the last byte can be written", answer(h.pwrite, b"z", SIZE - 1), "OK")
    check("the last byte can be read", bytes(h.pread(1, SIZE - 1)).decode(), "z")
    h.shutdown()


def unknown():
    raw = Raw(SOCKET).go("disk")
    for command in (8, 9, 42, 0xFFFF):
        check(f"the unknown command {command} answers EINVAL (X9)", raw.ask(command, 0, 512), "EINVAL")
    check("block status without a context answers EINVAL (X15)", raw.ask(BLOCK_STATUS, 0, 512), "EINVAL")
    check("the connection lives after unknown commands", raw.ask(READ, 0, 512), "OK")

    commands = [("read", READ), ("write", WRITE), ("flush", FLUSH), ("trim", TRIM), ("caching", CACHE), ("zeroing", WRITE_ZEROES)]
    flags = [("NO_HOLE", 1 << 1, WRITE_ZEROES), ("REQ_ONE", 1 << 3, None), ("FAST_ZERO", 1 << 4, WRITE_ZEROES), ("PAYLOAD_LEN", 1 << 5, None)]
    flags += [("DF", 1 << 2, None), ("unknown bit 6", 1 << 6, None), ("unknown bit 15", 1 << 15, None)]
    for command_name, command in commands:
        for flag_name, flag, fits in flags:
            if command == fits:
                continue
            length = 0 if command == FLUSH else 512
            payload = b"w" * length if command == WRITE else b""
            got = raw.ask(command, 4096, length, flag, payload)
            check(f"{command_name} with the flag {flag_name}, which does not fit, answers EINVAL (X9)", got, "EINVAL")
    check("the connection lives after flags that do not fit", raw.ask(READ, 4096, 512), "OK")
    check("a write that was refused for its flag has written nothing", raw.data == bytes(512), True)
    raw.request(DISC, 0, 0)
    check("a disconnect is answered by the end of the connection (X19)", raw.closed(), True)


def force_unit_access():
    h = connected(SOCKET, "disk")
    fua = nbd.CMD_FLAG_FUA
    check("a read with FUA is served (X9)", answer(h.pread, 512, 0, fua), "OK")
    check("a write with FUA is served (X9)", answer(h.pwrite, bytes(512), 0, fua), "OK")
    check("a flush with FUA is served (X9)", answer(h.flush, fua), "OK")
    check("a trim with FUA is served (X9)", answer(h.trim, 4096, 0, fua), "OK")
    check("zeroing with FUA is served (X9)", answer(h.zero, 4096, 0, fua), "OK")
    check("zeroing with FUA and NO_HOLE is served (X13)", answer(h.zero, 4096, 0, fua | nbd.CMD_FLAG_NO_HOLE), "OK")
    check("caching with FUA is served (X9)", answer(h.cache, 4096, 0, fua), "OK")
    check("the connection lives after FUA on everything", lives(h), True)
    h.shutdown()


def zero_length():
    raw = Raw(SOCKET).go("disk")
    for name, command in [("read", READ), ("write", WRITE), ("trim", TRIM), ("caching", CACHE), ("zeroing", WRITE_ZEROES)]:
        for where, offset in [("at the beginning", 0), ("at the end", SIZE)]:
            got = raw.ask(command, offset, 0)
            check_in(f"{name} of no bytes {where} is served or answers EINVAL (X21)", got, ("OK", "EINVAL"))
    check("the connection lives after requests of no bytes (X21)", raw.ask(READ, 0, 512), "OK")


def read_only():
    h = connected(SOCKET, "locked")
    check("a read-only export says so", h.is_read_only(), True)
    before = bytes(h.pread(512, 0))
    check("a write to a read-only export answers EPERM (X7)", answer(h.pwrite, b"x" * 512, 0), "EPERM")
    check("a write with FUA to a read-only export answers EPERM (X7)", answer(h.pwrite, b"x" * 512, 0, nbd.CMD_FLAG_FUA), "EPERM")
    check("a trim of a read-only export answers EPERM", answer(h.trim, 512, 0), "EPERM")
    check("zeroing a read-only export answers EPERM", answer(h.zero, 512, 0), "EPERM")
    check("a flush of a read-only export is served", answer(h.flush), "OK")
    check("the connection to a read-only export lives, and its data is as it was", bytes(h.pread(512, 0)) == before, True)
    h.shutdown()


def large():
    h = connected(SOCKET, "disk")
    for length, offset in [(32 * MiB, 0), (32 * MiB, 4096 * 3), (32 * MiB, 1), (32 * MiB - 1, 511)]:
        data = os.urandom(length)
        check(f"a write of {length} bytes at {offset} is served", answer(h.pwrite, data, offset), "OK")
        check(f"a read of {length} bytes at {offset} brings them back", bytes(h.pread(length, offset)) == data, True)
    before = bytes(h.pread(4096, 0))
    for length in (32 * MiB + 1, 64 * MiB):
        check(f"a read of {length} bytes answers EINVAL", answer(h.pread, length, 0), "EINVAL")
        check(f"the connection lives after a read of {length} bytes", lives(h), True)
        check(f"a write of {length} bytes answers EINVAL (X7)", answer(h.pwrite, bytes(length), 0), "EINVAL")
        check(f"the connection lives after a write of {length} bytes (X7)", lives(h), True)
    check("writes that were refused for their length have written nothing", bytes(h.pread(4096, 0)) == before, True)
    check("zeroing of 100 MiB is served: it has no payload (X13)", answer(h.zero, 100 * MiB, 5), "OK")
    check("what was zeroed reads as zeroes", bytes(h.pread(16 * MiB, 60 * MiB)) == bytes(16 * MiB), True)
    check("a trim of 100 MiB is served", answer(h.trim, 100 * MiB, 5), "OK")
    h.shutdown()


def dropped():
    raw = Raw(SOCKET).go("disk")
    raw.request(READ, 0, 512, magic=0x12345678)
    check("a wrong request magic drops the connection (X1)", raw.closed(), True)
    raw = Raw(SOCKET).go("disk")
    check("a read of 4 GiB - 1 answers EINVAL", raw.ask(READ, 0, 0xFFFFFFFF), "EINVAL")
    check("the connection lives after a read of 4 GiB - 1", raw.ask(READ, 0, 512), "OK")
    raw.request(WRITE, 0, 0xFFFFFFFF)
    try:
        # Nothing obliges the server to answer before it drops the connection, nor forbids it.
        raw.reply()
    except Closed:
        pass
    check("a write that announces 4 GiB - 1 drops the connection (X7)", raw.closed(), True)
    raw = Raw(SOCKET).go("disk")
    check("a new connection is served after those that were dropped", raw.ask(READ, 0, 512), "OK")


def many_at_once():
    raw = Raw(SOCKET).go("disk")
    for n in range(64):
        raw.request(WRITE, n * MiB, MiB, payload=bytes([n]) * MiB)
    errors = {raw.reply()[1] for _ in range(64)}
    check("64 writes of 1 MiB sent before any reply was read are all served (X22)", sorted(errors), ["OK"])

    # Half of them ask for what must fail, in between, with a disconnect right behind.
    want = {}
    for n in range(64):
        want[raw.request(READ, n * MiB if n % 2 == 0 else SIZE, 4096)] = n
    raw.request(DISC, 0, 0)
    right = 0
    for _ in range(64):
        cookie, error = raw.reply()
        n = want.pop(cookie)
        data = raw.receive(4096) if error == "OK" else b""
        right += (error, data) == (("OK", bytes([n]) * 4096) if n % 2 == 0 else ("EINVAL", b""))
    check("64 requests are each answered with their own cookie, right or wrong (X1)", right, 64)
    check("they are answered although a disconnect came right behind (X19)", raw.closed(), True)


past_the_end()
unknown()
force_unit_access()
zero_length()
read_only()
large()
dropped()
many_at_once()
