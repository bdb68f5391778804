"""What the server remembers of holes is true whatever happens: random requests on several connections at once.

usage: truth.py URI FILE SECONDS SEED: the export is FILE, 8 MiB or so, with holes; it takes longer than SECONDS where
little happens in them

With "model" in its first half, requests that are on their way at the same time never overlap, though they meet in the
same blocks and granules, so what each read has to bring is known. In the second half they overlap as they like, and what
is there in the end nobody knows; but then reads that may use what the server remembers, reads that may not, block status
and the file itself have to agree.
"""

import os
import random
import select
import sys
import time

import nbd

from verdicts import check, connected_to

URI, FILE, SECONDS, SEED = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
KiB = 1 << 10
GRANULE = 64 * KiB
CONNECTIONS, DEPTH = 4, 4
SIZE = os.stat(FILE).st_size
ALLOCATION = nbd.CONTEXT_BASE_ALLOCATION
rng = random.Random(SEED)
handles = [connected_to(URI, ALLOCATION) for _ in range(CONNECTIONS)]
model = bytearray(open(FILE, "rb").read())
# 1 where a trim has been: zeroes, or what was there.
loose = bytearray(SIZE)
done = {}
trouble = []


def somewhere():
    """A range; its ends like to be those of granules and blocks, or next to them."""
    shape = rng.random()
    if shape < 0.3:
        start, length = rng.randrange(SIZE // GRANULE) * GRANULE, rng.randint(1, 6) * GRANULE
    elif shape < 0.6:
        start, length = rng.randrange(SIZE // (4 * KiB)) * 4 * KiB, rng.randint(1, 40) * 4 * KiB
    elif shape < 0.8:
        start, length = rng.randrange(1, SIZE // GRANULE) * GRANULE + rng.randint(-2, 2), rng.randint(1, 2 * GRANULE)
    else:
        start, length = rng.randrange(SIZE), rng.choice((1, 2, 511, 512, 4095, rng.randint(1, 300 * KiB)))
    return start, min(length, SIZE - start)


class Request:
    """One request on its way: `finish` is called with its error when it is answered."""

    def __init__(self, handle, kind, start, length):
        self.handle, self.kind, self.start, self.end = handle, kind, start, start + length
        self.changes = kind not in ("read", "read DF", "status")
        self.answered = False
        arrived = self.arrived
        if kind == "write":
            self.data = rng.randbytes(length)
            self.buffer = nbd.Buffer.from_bytearray(bytearray(self.data))
            handle.aio_pwrite(self.buffer, start, arrived)
        elif kind in ("zero", "zero NO_HOLE", "zero FAST"):
            flags = {"zero": 0, "zero NO_HOLE": nbd.CMD_FLAG_NO_HOLE, "zero FAST": nbd.CMD_FLAG_FAST_ZERO}[kind]
            handle.aio_zero(length, start, arrived, flags)
        elif kind == "trim":
            handle.aio_trim(length, start, arrived)
        elif kind == "status":
            self.extents = []
            handle.aio_block_status(length, start, lambda context, offset, entries, error: self.extents.extend(entries) or 0, arrived)
        else:
            self.buffer = nbd.Buffer(length)
            handle.aio_pread(self.buffer, start, arrived, nbd.CMD_FLAG_DF if kind == "read DF" else 0)

    def arrived(self, error):
        self.answered = True
        self.error = error.value
        return 1

    def judge(self):
        """Compares the answer with the model, or changes the model."""
        where = f"{self.kind} from {self.start} to {self.end}"
        refused = self.error == 95 and self.kind == "zero FAST"
        if self.error != 0 and not refused:
            trouble.append(f"{where}: error {self.error}")
        elif self.kind in ("read", "read DF"):
            if not agrees(self.buffer.to_bytearray(), self.start):
                trouble.append(f"{where}: other bytes than those that were written")
        elif self.kind == "status":
            position = self.start
            for length, flags in zip(self.extents[0::2], self.extents[1::2]):
                if flags & nbd.STATE_ZERO and not agrees(bytes(length), position):
                    trouble.append(f"{where}: zeroes at {position}, {length} bytes, where there is data")
                position += length
        elif not refused:
            length = self.end - self.start
            if self.kind == "trim":
                loose[self.start : self.end] = b"\1" * length
            else:
                model[self.start : self.end] = self.data if self.kind == "write" else bytes(length)
                loose[self.start : self.end] = bytes(length)
        done[self.kind] = done.get(self.kind, 0) + 1


def agrees(data, start):
    """Whether these bytes may be at `start`. By blocks first, since Python takes its time over bytes."""
    if data == model[start : start + len(data)]:
        return True
    position = start
    while position < start + len(data):
        end = min(position // 4096 * 4096 + 4096, start + len(data))
        got, want, maybe = data[position - start : end - start], model[position:end], loose[position:end]
        if got != want and (any(got) or not all(maybe)):
            if not all(a == b or (a == 0 and l) for a, b, l in zip(got, want, maybe)):
                return False
        position = end
    return True


KINDS = ["write"] * 6 + ["zero"] * 4 + ["zero NO_HOLE", "zero FAST"] + ["trim"] * 2 + ["read"] * 6 + ["read DF", "status", "status"]


def turn(requests, judged):
    """Starts what there is room for, waits a little, and takes the answers that are there."""
    for handle in handles:
        for _ in range(DEPTH - sum(r.handle is handle for r in requests)):
            kind = rng.choice(KINDS)
            start, length = somewhere()
            changes = kind not in ("read", "read DF", "status")
            meets = any((changes or r.changes) and start < r.end and r.start < start + length for r in requests)
            if not (judged and meets):
                requests.append(Request(handle, kind, start, length))
    return collect(requests, judged)


def collect(requests, judged):
    poll = select.poll()
    by_descriptor = {handle.aio_get_fd(): handle for handle in {request.handle for request in requests}}
    for descriptor, handle in by_descriptor.items():
        direction = handle.aio_get_direction()
        reads, writes = direction & nbd.AIO_DIRECTION_READ, direction & nbd.AIO_DIRECTION_WRITE
        poll.register(descriptor, (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0))
    for descriptor, events in poll.poll(20_000):
        handle = by_descriptor[descriptor]
        if events & select.POLLIN:
            handle.aio_notify_read()
        elif events & select.POLLOUT:
            handle.aio_notify_write()
        else:
            raise ConnectionError(f"events {events}")
    for request in [r for r in requests if r.answered]:
        if judged:
            request.judge()
        elif request.error not in (0, 95):
            trouble.append(f"{request.kind} at {request.start}: error {request.error}")
    return [r for r in requests if not r.answered]


def with_model():
    requests = []
    until = time.monotonic() + SECONDS / 2
    kinds = sorted(set(KINDS))
    rare = lambda: [kind for kind in kinds if done.get(kind, 0) < 10]
    while (time.monotonic() < until or rare()) and not trouble:
        requests = turn(requests, True)
    while requests:
        requests = collect(requests, True)
    check("every kind of request was served again and again", rare(), [])
    check("every read brought what was written, and no status called it zeroes that was data", trouble[:3], [])
    data = handles[0].pread(SIZE, 0)
    check("in the end everything is there", agrees(data, 0), True)


def views():
    """The whole contents by every way to see them."""
    holes = bytearray(SIZE)
    kept = []

    def chunk(data, offset, kind, error):
        if kind == nbd.READ_HOLE:
            holes[offset : offset + len(data)] = b"\1" * len(data)
        return 0

    remembered = rng.choice(handles).pread_structured(SIZE, 0, chunk)
    read = rng.choice(handles).pread(SIZE, 0, nbd.CMD_FLAG_DF)
    position = 0
    told = bytearray(read)
    while position < SIZE:
        rng.choice(handles).block_status(SIZE - position, position, lambda context, offset, entries, error: kept.append(entries) or 0)
        for length, flags in zip(kept[-1][0::2], kept[-1][1::2]):
            if flags & nbd.STATE_ZERO:
                told[position : position + length] = bytes(length)
            position += length
    return holes.count(1), {"remembered": remembered, "read": read, "told": bytes(told), "in the file": open(FILE, "rb").read()}


def without_model():
    rounds, hole_bytes, differ = 0, 0, []
    until = time.monotonic() + SECONDS / 2
    while (time.monotonic() < until or rounds < 5 or hole_bytes == 0) and not differ and not trouble:
        requests = []
        for _ in range(rng.randint(1, 30)):
            requests = turn(requests, False)
        while requests:
            requests = collect(requests, False)
        holes, seen = views()
        differ = [name for name, data in seen.items() if data != seen["in the file"]]
        rounds += 1
        hole_bytes += holes
    check("there were rounds of requests that overlap, and holes that were remembered", [rounds >= 5, hole_bytes > 0], [True, True])
    check("after each, all ways to look at the contents showed the same", differ, [])
    check("no request failed", trouble[:3], [])


with_model()
without_model()
check("holes were remembered until the end, or this has shown nothing", views()[0] > 0, True)
for handle in handles:
    handle.shutdown()
