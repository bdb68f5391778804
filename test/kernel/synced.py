"""Writes files and notes each one whose sync has returned; or checks that those noted are what they were.

usage: synced.py write|check DIRECTORY LIST
"""

import hashlib
import itertools
import os
import sys


def write(directory, noted):
    """Goes on until the file system refuses."""
    with open(noted, "a") as notes:
        for n in itertools.count(1):
            data = os.urandom(n * 17777 % 150000 + 1)
            try:
                fd = os.open(f"{directory}/{n}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                os.write(fd, data)
                os.fsync(fd)
                os.close(fd)
            except OSError:
                return
            print(n, hashlib.sha256(data).hexdigest(), file=notes, flush=True)


def check(directory, noted):
    bad = 0
    for line in open(noted):
        n, digest = line.split()
        try:
            found = hashlib.sha256(open(f"{directory}/{n}", "rb").read()).hexdigest()
        except OSError as error:
            found = str(error)
        if found != digest:
            print(f"{directory}/{n} is not what was synced: {found}")
            bad = 1
    sys.exit(bad)


{"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
