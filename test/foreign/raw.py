"""An NBD client of few words, written from doc/proto.md, for what libnbd does not send: unknown commands, wrong magic
numbers, requests that pile up. Simple replies only."""

import socket
import struct

NBDMAGIC = 0x4E42444D41474943
IHAVEOPT = 0x49484156454F5054
OPTION_REPLY = 0x0003E889045565A9
REQUEST = 0x25609513
SIMPLE_REPLY = 0x67446698

FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_INFO, OPT_GO = 1, 2, 3, 6, 7
REP_ACK, REP_SERVER, REP_INFO = 1, 2, 3
ERR_UNSUP, ERR_POLICY, ERR_INVALID, ERR_UNKNOWN = (0x80000000 + n for n in (1, 2, 3, 6))
READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA = 1

ERRORS = {0: "OK", 1: "EPERM", 5: "EIO", 12: "ENOMEM", 22: "EINVAL", 28: "ENOSPC", 75: "EOVERFLOW", 95: "ENOTSUP", 108: "ESHUTDOWN"}


class Closed(Exception):
    """The server has closed the connection."""


class Raw:
    def __init__(self, path, client_flags=FIXED_NEWSTYLE | NO_ZEROES, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.cookie = 0xFEDCBA9876543210
        magic, option_magic, self.flags = struct.unpack(">QQH", self.receive(18))
        assert (magic, option_magic) == (NBDMAGIC, IHAVEOPT)
        self.send(struct.pack(">I", client_flags))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed()

    def receive(self, length):
        data = bytearray()
        while len(data) < length:
            try:
                piece = self.socket.recv(min(length - len(data), 1 << 20))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed()
            data += piece
        return bytes(data)

    def closed(self):
        """Whether nothing more comes but the end; waits for it."""
        try:
            return self.receive(1) == b""
        except Closed:
            return True
        except socket.timeout:
            return False

    def option(self, number, data=b""):
        self.send(struct.pack(">QII", IHAVEOPT, number, len(data)) + data)

    def option_reply(self):
        magic, option, kind, length = struct.unpack(">QIII", self.receive(20))
        assert magic == OPTION_REPLY, hex(magic)
        return option, kind, self.receive(length)

    def option_replies(self, number, data=b""):
        """All replies up to the one that ends the option, as (kind, data)."""
        self.option(number, data)
        replies = []
        while True:
            option, kind, payload = self.option_reply()
            assert option == number, option
            replies.append((kind, payload))
            if kind == REP_ACK or kind >= 0x80000000:
                return replies

    def go(self, name):
        replies = self.option_replies(OPT_GO, go_data(name))
        assert replies[-1][0] == REP_ACK, replies
        return self

    def request(self, command, offset, length, flags=0, payload=b"", magic=REQUEST):
        """Sends a request; returns its cookie."""
        self.cookie += 1
        cookie = struct.pack(">Q", self.cookie)
        self.send(struct.pack(">IHH8sQI", magic, flags, command, cookie, offset, length) + payload)
        return cookie

    def reply(self):
        """The next reply's cookie and error by name; a READ's data is for the caller to receive."""
        magic, error, cookie = struct.unpack(">II8s", self.receive(16))
        assert magic == SIMPLE_REPLY, hex(magic)
        return cookie, ERRORS.get(error, error)

    def ask(self, command, offset, length, flags=0, payload=b""):
        """Sends a request, returns its error by name, reads past the data. One request at a time."""
        cookie = self.request(command, offset, length, flags, payload)
        answered, error = self.reply()
        assert answered == cookie, "another request was answered"
        if command == READ and error == "OK":
            self.data = self.receive(length)
        return error


def go_data(name, infos=()):
    encoded = name.encode()
    return struct.pack(">I", len(encoded)) + encoded + struct.pack(f">H{len(infos)}H", len(infos), *infos)
