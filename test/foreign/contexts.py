"""How meta contexts are listed and selected.

usage: contexts.py SOCKET: exports "first", which is the default, and "second"
"""

import struct
import sys

import nbd

import raw
from raw import BLOCK_STATUS, READ, Raw
from verdicts import answer, check

SOCKET = sys.argv[1]
ALLOCATION, CHANGED = nbd.CONTEXT_BASE_ALLOCATION, "aionbd:changed"
STRUCTURED_REPLY, LIST, SET = 8, 9, 10
REP_META_CONTEXT = 4


def by_libnbd():
    queries = [
        ("no query", [], [ALLOCATION, CHANGED]),
        ("base:", ["base:"], [ALLOCATION]),
        ("base:allocation", [ALLOCATION], [ALLOCATION]),
        ("aionbd:", ["aionbd:"], [CHANGED]),
        ("an unknown leaf", ["base:nonsense"], []),
        ("an unknown namespace", ["qemu:allocation-depth", "x-nobody:"], []),
        ("something without a namespace", ["base", "allocation", ""], []),
        ("all of these", ["x-nobody:", "base:", "base:nonsense", CHANGED, CHANGED], [ALLOCATION, CHANGED]),
    ]
    for name, asked, want in queries:
        h = nbd.NBD()
        h.set_opt_mode(True)
        h.set_export_name("second")
        h.connect_unix(SOCKET)
        for query in asked:
            h.add_meta_context(query)
        listed = []
        h.opt_list_meta_context(lambda context: listed.append(context) or 0)
        check(f"LIST_META_CONTEXT with {name} (H14)", sorted(listed), sorted(want))
        check(f"the connection lives after LIST_META_CONTEXT with {name}", answer(h.opt_go), "OK")
        # SET_META_CONTEXT, which libnbd sends before GO, knows no wildcards, and nothing is selected without a query.
        selected = [context for context in (ALLOCATION, CHANGED) if h.can_meta_context(context)]
        check(f"SET_META_CONTEXT with {name} (H15)", selected, [context for context in (ALLOCATION, CHANGED) if context in asked])
        check(f"reads are served after SET_META_CONTEXT with {name}", answer(h.pread, 512, 0), "OK")
        h.shutdown()
    h = nbd.NBD()
    h.set_opt_mode(True)
    h.set_export_name("none such")
    h.connect_unix(SOCKET)
    check("LIST_META_CONTEXT for an unknown export is refused", answer(h.opt_list_meta_context, lambda context: 0) != "OK", True)
    h.set_export_name("first")
    check("and for a known one it is answered on the same connection", answer(h.opt_list_meta_context, lambda context: 0), "OK")
    h.opt_abort()


def data(name, *queries):
    counted = lambda text: struct.pack(">I", len(text.encode())) + text.encode()
    return counted(name) + struct.pack(">I", len(queries)) + b"".join(map(counted, queries))


def contexts(r, option, *args):
    """Names and ids of the answer's contexts; or the error's name."""
    *replies, (last, _) = r.option_replies(option, data(*args))
    if last != raw.REP_ACK:
        return {raw.ERR_UNSUP: "UNSUP", raw.ERR_INVALID: "INVALID", raw.ERR_UNKNOWN: "UNKNOWN"}.get(last, last)
    assert all(kind == REP_META_CONTEXT for kind, _ in replies), replies
    return {payload[4:].decode(): struct.unpack(">I", payload[:4])[0] for _, payload in replies}


def structured():
    r = Raw(SOCKET)
    assert r.option_replies(STRUCTURED_REPLY)[-1][0] == raw.REP_ACK
    return r


def status_id(r):
    """Goes to "first" with what is selected and asks for a status: the id in the answer, or "an error"."""
    r.go("first")
    cookie = r.request(BLOCK_STATUS, 0, 512)
    magic, flags, kind, answered, length = struct.unpack(">IHH8sI", r.receive(20))
    assert (magic, answered) == (0x668E33EF, cookie)
    payload = r.receive(length)
    return "an error" if kind & 0x8000 else struct.unpack(">I", payload[:4])[0]


def by_hand():
    r = Raw(SOCKET)
    check("STRUCTURED_REPLY with data answers ERR_INVALID (H13)", [k for k, _ in r.option_replies(STRUCTURED_REPLY, b"x")], [raw.ERR_INVALID])
    check("SET_META_CONTEXT without structured replies answers ERR_INVALID (H15)", contexts(r, SET, "first", ALLOCATION), "INVALID")
    r.go("first")
    check("after that replies are simple ones", r.ask(READ, 0, 512), "OK")

    r = structured()
    got = contexts(r, LIST, "first")
    check("listed contexts have the id 0 (H14)", got, {ALLOCATION: 0, CHANGED: 0})
    got = contexts(r, SET, "first", ALLOCATION, CHANGED)
    check("selected contexts have ids that differ (H15)", [sorted(got), len(set(got.values()))], [sorted([ALLOCATION, CHANGED]), 2])
    check("SET_META_CONTEXT with base: alone selects nothing (H15)", contexts(r, SET, "first", "base:"), {})
    check("and takes back what was selected (H15)", status_id(r), "an error")

    for name, args, want in [
        ("no queries", ("first",), {}),
        ("an unknown namespace", ("first", "x-nobody:thing"), {}),
        ("an unknown export", ("none such", ALLOCATION), "UNKNOWN"),
        ("another export", ("second", CHANGED), None),
    ]:
        r = structured()
        contexts(r, SET, "first", ALLOCATION)
        got = contexts(r, SET, *args)
        check(f"SET_META_CONTEXT with {name} is answered", list(got) if want is None else got, [CHANGED] if want is None else want)
        check(f"and takes back what was selected before, with {name} (H15)", status_id(r), "an error")
    r = structured()
    # The empty name is another name for the first export, but the two must be the same in both options.
    allocation = contexts(r, SET, "first", ALLOCATION)[ALLOCATION]
    check("LIST_META_CONTEXT takes nothing back", contexts(r, LIST, "first", "base:"), {ALLOCATION: 0})
    check("the status comes with the id of the selection", status_id(r), allocation)

    r = structured()
    bad = data("first", ALLOCATION)
    for name, payload in [("a query that is longer than the data", bad[:-1]), ("bytes behind the last query", bad + b"x"), ("nothing", b"")]:
        for option in (LIST, SET):
            check(f"option {option} with {name} answers ERR_INVALID (H16)", [k for k, _ in r.option_replies(option, payload)], [raw.ERR_INVALID])
    check("the connection is in step after that", contexts(r, LIST, "first", "base:"), {ALLOCATION: 0})


by_libnbd()
by_hand()
