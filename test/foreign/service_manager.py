# A stand-in for systemd: opens the socket, passes it on with LISTEN_FDS, and listens to what sd_notify(3) says.
# usage: service_manager.py NODE MAIN FILE
import json, os, socket, sys, tempfile
import nbd

node, main, image = sys.argv[1:]


def verdict(name, got, want):
    print(json.dumps({"name": name, "got": got, "want": want}), flush=True)


directory = tempfile.mkdtemp()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(directory + "/notify")
notify.settimeout(30)


def start(listener, args):
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(listener.fileno(), 3)
            environment = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1",
                               NOTIFY_SOCKET=directory + "/notify", WATCHDOG_USEC="200000")
            os.execve(node, [node, main, "serve", image] + args, environment)
        finally:
            os._exit(127)
    return pid


def lines():
    return notify.recv(4096).decode().split("\n")


listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
path = directory + "/nbd.sock"
listener.bind(path)
listener.listen(8)

# A client may come before the server is there.
early = nbd.NBD()
early.aio_connect_uri("nbd+unix:///?socket=" + path)
pid = start(listener, [])
said = lines()
verdict("the service manager hears READY=1", said[0], "READY=1")
verdict("and which process it is", said[1], "MAINPID=%d" % pid)
verdict("and what it does", said[2], "STATUS=serving 1 exports at nbd+unix:///?socket=" + path)
while early.aio_is_connecting():
    early.poll(1000)
verdict("a client that came before the server is served", early.get_size(), os.path.getsize(image))
verdict("the watchdog hears from it", lines(), ["WATCHDOG=1"])
verdict("and again", lines(), ["WATCHDOG=1"])
early.shutdown()
os.kill(pid, 15)
said = lines()
while said == ["WATCHDOG=1"]:
    said = lines()
verdict("it says that it stops", said[0], "STOPPING=1")
verdict("and ends with 0", os.waitpid(pid, 0)[1], 0)
verdict("the socket's file stays for the next server", os.path.exists(path), True)

# The next server gets the same socket; a client that waits in its queue does not notice.
late = nbd.NBD()
late.aio_connect_uri("nbd+unix:///?socket=" + path)
pid = start(listener, ["--exit-with-last-client"])
lines()
while late.aio_is_connecting():
    late.poll(1000)
verdict("a client that came between two servers is served", late.get_size(), os.path.getsize(image))
late.shutdown()
verdict("a server with --exit-with-last-client ends when it has left", os.waitpid(pid, 0)[1], 0)

tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.bind(("127.0.0.1", 0))
tcp.listen(8)
while True:
    try:
        notify.setblocking(False)
        notify.recv(4096)
    except BlockingIOError:
        notify.settimeout(30)
        break
pid = start(tcp, [])
port = tcp.getsockname()[1]
verdict("a TCP socket is passed on as well", lines()[2], "STATUS=serving 1 exports at nbd://127.0.0.1:%d/" % port)
client = nbd.NBD()
client.connect_tcp("127.0.0.1", str(port))
verdict("and served", client.get_size(), os.path.getsize(image))
client.shutdown()
os.kill(pid, 15)
verdict("until it is told to stop", os.waitpid(pid, 0)[1], 0)

for name, bad in [("a datagram socket", socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
                  ("a socket that does not listen", socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
                  ("a file", open(image))]:
    pid = start(bad, [])
    verdict(name + " is refused with 1", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 1)

for name in ("nbd.sock", "notify"):
    os.unlink(directory + "/" + name)
os.rmdir(directory)
