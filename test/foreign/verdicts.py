"""What the scripts in this directory report with: one line of JSON for each behaviour that was looked at."""

import errno
import json

import nbd


def check(name, got, want):
    """One verdict; the test that runs the script asserts that `got` is `want`."""
    print(json.dumps({"name": name, "got": got, "want": want}), flush=True)


def check_in(name, got, allowed):
    """A behaviour that the protocol leaves open within limits."""
    check(name, got if got not in allowed else "allowed", "allowed")


def answer(call, *args):
    """"OK", or the name of the error that the server answered."""
    try:
        call(*args)
        return "OK"
    except nbd.Error as error:
        return error.errno or errno.errorcode.get(error.errnum, str(error))


def connected(socket_path, export):
    """A libnbd handle that lets wrong requests through to the server."""
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    handle.set_export_name(export)
    handle.connect_unix(socket_path)
    return handle


def connected_to(uri, *contexts):
    """The same with a URI, and with meta contexts."""
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    for context in contexts:
        handle.add_meta_context(context)
    handle.connect_uri(uri)
    return handle


def lives(handle):
    """Whether the connection still serves: a request goes out, its answer comes back."""
    return handle.aio_is_ready() and answer(handle.pread, 512, 0) == "OK"
