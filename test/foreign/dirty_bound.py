# Writes to an export and counts what is answered while its disk stands still.
# dirty_bound.py URI BYTES QUIET_SECONDS: prints the bytes answered by the time that nothing has been for so long;
# waits for a line on stdin; finishes, flushes, prints "done".
import nbd, sys, time

uri, total, quiet = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
PIECE = 1 << 20
DEPTH = 16
h = nbd.NBD()
h.connect_uri(uri)
data = nbd.Buffer.from_bytearray(bytearray(b"x" * PIECE))
answered = sent = 0


def done(error):
    global answered
    assert error.value == 0 if hasattr(error, "value") else error == 0
    answered += PIECE
    return 1


def step(milliseconds):
    global sent
    while sent < total and h.aio_in_flight() < DEPTH:
        h.aio_pwrite(data, sent, completion=done)
        sent += PIECE
    h.poll(milliseconds)


since = time.monotonic()
last = -1
while answered < total and time.monotonic() - since < quiet:
    if answered != last:
        last, since = answered, time.monotonic()
    step(50)
print(answered, flush=True)
sys.stdin.readline()
while answered < total:
    step(1000)
h.flush()
print("done", flush=True)
