"""Exports whose size is no multiple of anything, to their last byte.

usage: odd_size.py URI SIZE FILE: the export holds FILE's contents, SIZE bytes
"""

import sys

from verdicts import answer, check, connected_to, lives

URI, SIZE = sys.argv[1], int(sys.argv[2])
model = bytearray(open(sys.argv[3], "rb").read())
h = connected_to(URI)


def same(offset, length):
    return bytes(h.pread(length, offset)) == bytes(model[offset : offset + length])


def write(offset, data):
    model[offset : offset + len(data)] = data
    return answer(h.pwrite, data, offset)


check("the size is exact", h.get_size(), SIZE)
check("a single read brings all of it", same(0, SIZE), True)
check("the last byte is read", same(SIZE - 1, 1), True)
check("the last 3 bytes are read", same(SIZE - 3, 3), True)
check("the last block with the tail is read", same(SIZE // 4096 * 4096 - 4096, 4096 + SIZE % 4096), True)
check("the last byte is written", write(SIZE - 1, b"L"), "OK")
check("the last byte reads back", same(SIZE - 8192, 8192), True)
check("the tail is written from the middle of a block", write(SIZE - 5000, bytes(range(250)) * 20), "OK")
check("the tail reads back", same(SIZE - 20000, 20000), True)
check("one byte too many answers ENOSPC", answer(h.pwrite, b"no", SIZE - 1), "ENOSPC")
check("one byte too many is not read", answer(h.pread, 2, SIZE - 1), "EINVAL")

model[SIZE - 700 : SIZE - 100] = bytes(600)
check("zeroing inside the tail is served", answer(h.zero, 600, SIZE - 700), "OK")
check("zeroing inside the tail leaves its neighbours", same(SIZE - 9000, 9000), True)
model[SIZE - 50000 :] = bytes(50000)
check("zeroing to the last byte is served", answer(h.zero, 50000, SIZE - 50000), "OK")
check("zeroing to the last byte leaves what lies before", same(0, SIZE), True)
check("a trim to the last byte is served", answer(h.trim, 50000, SIZE - 50000), "OK")
check("a trim to the last byte leaves what lies before", same(0, SIZE - 50000), True)
check("after the trim the tail is written again", write(SIZE - 50000, b"\xa5" * 50000), "OK")
check("a flush is served", answer(h.flush), "OK")
check("all of it is as it should be", same(0, SIZE), True)
check("the connection lives", lives(h), True)
h.shutdown()
open(sys.argv[3], "wb").write(model)
