"""Writes single sectors of 512 bytes to a device past the page cache, and the same bytes to a model of it.

usage: sectors.py scattered|contended DEVICE MODEL

scattered   runs of sectors that begin and end at every place within a 4 KiB block, some longer than a block
contended   four processes at once, each with two sectors of every one of 256 blocks: a server that reads, modifies
            and writes whole blocks must not lose a neighbour's bytes
"""

import mmap
import os
import random
import sys

SECTOR = 512
LONGEST = 1000


class Device:
    """Direct I/O wants aligned memory, which an anonymous mapping is."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.memory = mmap.mmap(-1, LONGEST * SECTOR)

    def write(self, sector, data):
        self.memory[: len(data)] = data
        done = os.pwritev(self.fd, [memoryview(self.memory)[: len(data)]], sector * SECTOR)
        assert done == len(data), f"short write: {done} of {len(data)}"


def write_model(path, pieces):
    with open(path, "r+b") as model:
        for sector, data in pieces:
            model.seek(sector * SECTOR)
            model.write(data)


def scattered(path, model):
    runs = [(at, 1) for at in (0, 1, 2, 3, 4, 5, 6, 7, 17, 26, 35)]
    runs += [(43, 3), (62, 4), (101, 100), (801, LONGEST)]
    runs += [(at, random.randint(1, 20)) for at in (random.randrange(1900, 2000) for _ in range(40))]
    pieces = [(at, os.urandom(count * SECTOR)) for at, count in runs]
    device = Device(path)
    for sector, data in pieces:
        device.write(sector, data)
    write_model(model, pieces)


def contended(path, model):
    shares = []
    for first in (0, 2, 4, 6):
        shares.append([(block * 8 + first, os.urandom(2 * SECTOR)) for block in range(256, 512)])
    children = []
    for share in shares:
        child = os.fork()
        if child == 0:
            device = Device(path)
            for sector, data in share:
                device.write(sector, data)
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, f"a writer ended with {status}"
    for share in shares:
        write_model(model, share)


{"scattered": scattered, "contended": contended}[sys.argv[1]](*sys.argv[2:])
