"""What the server offers and how it answers options.

usage: handshake.py SOCKET: exports "first" (3 MiB, described as "the first, one"; also the default) and "second" (5 MiB,
read-only)
"""

import struct
import sys

import nbd

import raw
from raw import Raw, go_data
from verdicts import answer, check

SOCKET = sys.argv[1]
MiB = 1 << 20


def opened(name):
    """A libnbd handle in the middle of negotiation."""
    h = nbd.NBD()
    h.set_opt_mode(True)
    h.set_full_info(True)
    h.connect_unix(SOCKET)
    h.set_export_name(name)
    return h


def seen(h):
    """What the server said about an export."""
    names = ("read_only", "rotational")
    can = ("flush", "fua", "trim", "zero", "cache", "multi_conn", "fast_zero")
    sizes = (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM)
    return [h.get_size()] + [getattr(h, f"is_{n}")() for n in names] + [getattr(h, f"can_{n}")() for n in can] + [
        h.get_block_size(n) for n in sizes
    ]


def listing():
    h = opened("")
    got = []
    count = h.opt_list(lambda name, description: got.append([name, description]) or 0)
    check("LIST names every export with its description, in order (H8)", got, [["first", "the first, one"], ["second", ""]])
    check("LIST answers one reply for each export (H8)", count, 2)
    h.opt_abort()


def information():
    for name, size in [("first", 3 * MiB), ("second", 5 * MiB), ("", 3 * MiB)]:
        h = opened(name)
        h.opt_info()
        info = seen(h)
        h.opt_go()
        check(f'GO for "{name}" repeats what INFO said (H11)', seen(h) == info, True)
        check(f'the size of "{name}" is that of its file', h.get_size(), size)
        check(f'"{name}" may be read after GO', answer(h.pread, 512, size - 512), "OK")
        h.shutdown()
    h = opened("")
    h.opt_go()
    check('the empty name stands for the first export, and the NAME information says so', h.get_canonical_export_name(), "first")
    check("the DESCRIPTION information holds the description", h.get_export_description(), "the first, one")
    check("the smallest block is one byte", h.get_block_size(nbd.SIZE_MINIMUM), 1)
    check("the largest payload is 32 MiB", h.get_block_size(nbd.SIZE_MAXIMUM), 32 * MiB)
    check("several connections may share an export (X11)", h.can_multi_conn(), True)
    check("the first export is writable", h.is_read_only(), False)
    h.shutdown()
    h = opened("second")
    h.opt_go()
    check("the second export is read-only", h.is_read_only(), True)
    h.shutdown()


def unknown_names():
    h = opened("none such")
    check("INFO for an unknown export answers ERR_UNKNOWN", answer(h.opt_info), "ENOENT")
    check("GO for an unknown export answers ERR_UNKNOWN", answer(h.opt_go), "ENOENT")
    check("negotiation goes on after that (H12)", h.aio_is_negotiating(), True)
    h.set_export_name("second")
    check("another name may be asked for on the same connection (H12)", answer(h.opt_go), "OK")
    check("its size is right", h.get_size(), 5 * MiB)
    h.shutdown()
    h = opened("first")
    check("ABORT ends negotiation (H7)", answer(h.opt_abort), "OK")


def options():
    r = Raw(SOCKET)
    check("the server offers fixed newstyle and no zeroes, and nothing else (H1)", r.flags, raw.FIXED_NEWSTYLE | raw.NO_ZEROES)
    for option, data in [(4, b""), (0x1234, b"x" * 1000), (0xFFFFFFFF, b"y" * 100000)]:
        kinds = [kind for kind, _ in r.option_replies(option, data)]
        check(f"the unknown option {option} with {len(data)} bytes answers ERR_UNSUP (H6)", kinds, [raw.ERR_UNSUP])
    kinds = [kind for kind, _ in r.option_replies(raw.OPT_LIST, b"data")]
    check("LIST with data answers ERR_INVALID (H8)", kinds, [raw.ERR_INVALID])
    bad = [
        ("nothing", b""),
        ("a name longer than the option", struct.pack(">I", 100) + b"first" + bytes(2)),
        ("fewer information requests than announced", go_data("first")[:-2] + struct.pack(">HH", 2, 0)),
        ("more information requests than announced", go_data("first")[:-2] + struct.pack(">HHH", 1, 0, 3)),
    ]
    for what, data in bad:
        kinds = [kind for kind, _ in r.option_replies(raw.OPT_INFO, data)]
        check(f"INFO with {what} answers ERR_INVALID (H9)", kinds, [raw.ERR_INVALID])
    replies = r.option_replies(raw.OPT_INFO, go_data("first", (77, 3, 3, 0x8001)))
    types = sorted({struct.unpack(">H", data[:2])[0] for kind, data in replies if kind == raw.REP_INFO})
    check("INFO passes over unknown and doubled requests (H9)", replies[-1][0], raw.REP_ACK)
    check("INFO answers what was known of them (H10)", 0 in types and 3 in types, True)
    r.option(raw.OPT_GO, go_data("first"))
    kinds = []
    while not kinds or kinds[-1] == raw.REP_INFO:
        kinds.append(r.option_reply()[1])
    check("after all that, GO is still in step (H6)", kinds[-1], raw.REP_ACK)
    check("after GO no padding comes: the next thing is the reply to a request (H3)", r.ask(raw.READ, 0, 512), "OK")

    for flags, zeroes in [(raw.FIXED_NEWSTYLE, 124), (raw.FIXED_NEWSTYLE | raw.NO_ZEROES, 0), (0, 124)]:
        r = Raw(SOCKET, flags)
        r.option(raw.OPT_EXPORT_NAME, b"second")
        size, transmission_flags = struct.unpack(">QH", r.receive(10))
        padding = r.receive(zeroes)
        check(f"EXPORT_NAME with the client flags {flags} answers the size (H3)", size, 5 * MiB)
        check(f"EXPORT_NAME with the client flags {flags} answers READ_ONLY", transmission_flags & 3, 3)
        check(f"EXPORT_NAME with the client flags {flags} is followed by {zeroes} zeroes (H3)", padding == bytes(zeroes), True)
        check(f"a read is served after EXPORT_NAME with the client flags {flags}", r.ask(raw.READ, 0, 512), "OK")
    r = Raw(SOCKET)
    r.option(raw.OPT_EXPORT_NAME, b"none such")
    check("EXPORT_NAME for an unknown export drops the connection (H5)", r.closed(), True)
    r = Raw(SOCKET, 0xF0)
    check("client flags that were not offered drop the connection (H2)", r.closed(), True)
    r = Raw(SOCKET)
    r.send(b"\0" * 16)
    check("a wrong option magic drops the connection (H6)", r.closed(), True)
    r = Raw(SOCKET)
    check("ABORT is acknowledged (H7)", [kind for kind, _ in r.option_replies(raw.OPT_ABORT)], [raw.REP_ACK])
    check("ABORT is followed by the end of the connection (H7)", r.closed(), True)


listing()
information()
unknown_names()
options()
