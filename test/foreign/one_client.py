# One client on stdin and stdout: a socket, as libnbd gives it, and two pipes, as ssh gives them.
# usage: one_client.py NODE MAIN FILE
import json, os, subprocess, sys
import nbd

node, main, image = sys.argv[1:]
serve = [node, main, "serve", image, "--stdio"]


def verdict(name, got, want):
    print(json.dumps({"name": name, "got": got, "want": want}), flush=True)


def quoted(words):
    return " ".join("'" + word + "'" for word in words)


for kind, command in [("a socket", serve), ("two pipes", ["sh", "-c", "cat | " + quoted(serve) + " | cat"])]:
    h = nbd.NBD()
    h.connect_command(command)
    verdict("with " + kind + ", the client sees the export", h.get_size(), os.path.getsize(image))
    data = os.urandom(3 << 20)
    h.pwrite(data, 4096)
    verdict("with " + kind + ", what it has written comes back", h.pread(len(data), 4096) == data, True)
    h.flush()
    h.shutdown()

ended = subprocess.run(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=b"")
verdict("a client that leaves before it has chosen an export is an end with 1", ended.returncode, 1)
verdict(
    "stdout holds nothing but the protocol", ended.stdout[:8].decode(), "NBDMAGIC")
