"""Writes into holes while the server looks for holes for the first time.

usage: scan.py URI SIZE STEP SEED: of each STEP bytes of the export, a multiple of 64 KiB, all but the first 64 KiB are a
hole; nobody has connected yet
"""

import random
import sys
import time

import nbd

from verdicts import check, connected_to

URI, SIZE, STEP, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
GRANULE = 64 << 10
WRITES, DEPTH = 6000, 16
rng = random.Random(SEED)


def a_hole():
    step = rng.randrange(SIZE // STEP) * STEP
    return step + rng.randrange(1, STEP // GRANULE) * GRANULE


def is_remembered(offset):
    kinds = []
    h.pread_structured(1, offset, lambda data, at, kind, error: kinds.append(kind) or 0)
    return kinds == [nbd.READ_HOLE]


written = {a_hole() + rng.randrange(GRANULE - 1): bytes([rng.randint(1, 255)]) for _ in range(WRITES)}
touched = {offset // GRANULE for offset in written}
h = connected_to(URI)
for offset, data in written.items():
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset, lambda error: 1)
    while h.aio_in_flight() >= DEPTH:
        h.poll(-1)
while h.aio_in_flight() > 0:
    h.poll(-1)
holes = [o for o in (STEP * n + GRANULE for n in range(SIZE // STEP)) if o // GRANULE not in touched]
deadline = time.monotonic() + 20
while not is_remembered(holes[-1]) and time.monotonic() < deadline:
    time.sleep(0.01)
check("holes that nobody wrote to are remembered in the end", all(map(is_remembered, rng.sample(holes, 200))), True)
lost = [offset for offset, data in written.items() if bytes(h.pread(1, offset)) != data]
check("what was written into holes meanwhile is there", [len(lost), lost[:3]], [0, []])
h.shutdown()
