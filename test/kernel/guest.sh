# What scenarios are written with. Read by guest-init.sh.

DEV=/dev/nbd0
SOCKET=/run/s.sock
PORT=10809
SERVER=

# say LINE: into the report, and onto the console for whoever reads the log.
say() {
    echo "$*" >>"$report"
    echo "## ${SECONDS}s $*"
}

# ok SENTENCE COMMAND...: the sentence holds if the command succeeds.
ok() {
    local sentence=$1
    shift
    if "$@"; then say "ok - $sentence"; else say "not ok - $sentence"; fi
}

# equal SENTENCE GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then say "ok - $1"; else say "not ok - $1: got $2, wanted $3"; fi
}

# give_up SENTENCE: what follows would make no sense.
give_up() {
    say "not ok - $1"
    dump_logs
    say done
    sync
    echo o >/proc/sysrq-trigger
    sleep 10
}

# nap SECONDS: without a process, which in the guest takes longer than the nap and keeps its only processor from what is
# waited for.
mkfifo /run/nap
exec {NAP}<>/run/nap
nap() { read -r -t "$1" -u "$NAP" || true; }

# lines FILE: how many it has, without a process, too.
lines() {
    local all
    mapfile -t all <"$1"
    LINES_FOUND=${#all[@]}
}

# within SECONDS COMMAND...: tries until the command succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        nap 0.1
    done
}

dump_logs() {
    echo "--- server"
    cat /run/server.log
    echo "--- kernel"
    dmesg | tail -n 40
}

# serve PATH [direct=MODE [FLAG...]]: one export, "disk", on TCP and on a Unix socket.
serve() {
    local path=$1 mode=${2:-direct=on}
    local flags=("${@:3}")
    : >/run/uris
    rm -f "$SOCKET"
    if [ "$stand_in" = nbdkit ]; then
        nbdkit -f -p "$PORT" file "$path" >>/run/server.log 2>&1 &
        SERVER=$!
        nbdkit -U "$SOCKET" file "$path" >>/run/server.log 2>&1
        sleep 0.5
        return
    fi
    "$node" "$checkout/dist/cli/main.js" serve -l "127.0.0.1:$PORT" -l "unix:$SOCKET" \
        -e "name=disk,path=$path,$mode" --metrics off "${flags[@]}" >/run/uris 2>>/run/server.log &
    SERVER=$!
    within 30 announced || give_up "the server announces both addresses when it is ready"
}

announced() { lines /run/uris; [ "$LINES_FOUND" -ge 2 ]; }

# stop_server SENTENCE: SIGTERM, and it has to end by itself, with 0, within 5 s (plus what a slow machine takes).
stop_server() {
    local status=0 begin=$SECONDS
    kill -TERM "$SERVER"
    (sleep 15; kill -KILL "$SERVER") 2>/dev/null &
    local watchdog=$!
    wait "$SERVER" || status=$?
    kill "$watchdog" 2>/dev/null
    if [ "$stand_in" = nbdkit ]; then killall -q -TERM nbdkit; fi
    equal "$1" "exit $status within 5 s: $([ $((SECONDS - begin)) -le 6 ] && echo yes || echo no)" "exit 0 within 5 s: yes"
}

# attach tcp|unix CONNECTIONS [ARGUMENT...]
attach() {
    local how=$1 connections=$2
    shift 2
    case $how in
    tcp) nbd-client -N disk -C "$connections" "$@" 127.0.0.1 "$PORT" "$DEV" >/run/nbd-client.log 2>&1 ;;
    unix) nbd-client -unix "$SOCKET" "$DEV" -N disk -C "$connections" "$@" >/run/nbd-client.log 2>&1 ;;
    esac || { cat /run/nbd-client.log; return 1; }
    within 10 attached
}

attached() { [ "$(blockdev --getsize64 "$DEV")" -gt 0 ]; }
detached() { [ "$(blockdev --getsize64 "$DEV")" -eq 0 ]; }

detach() {
    nbd-client -d "$DEV" >/run/nbd-client.log 2>&1 || { cat /run/nbd-client.log; return 1; }
    within 10 detached
}

# connections tcp|unix: how many the kernel's client has open.
connections() {
    case $1 in
    # state 01 is established; the remote port is the server's
    tcp) awk -v port="$(printf ':%04X$' "$PORT")" '$3 ~ port && $4 == "01"' /proc/net/tcp | wc -l ;;
    # state 03 is connected; only the server's ends bear the name
    unix) awk -v path="$SOCKET" '$8 == path && $6 == "03"' /proc/net/unix | wc -l ;;
    esac
}

no_connection() { [ "$(connections "$1")" -eq 0 ]; }

# allocated FILE: bytes it takes on its file system.
allocated() { echo $(($(stat -c %b "$1") * 512)); }

# less_by BEFORE AFTER BYTES: whether at least BYTES have gone.
less_by() { [ $(($1 - $2)) -ge "$3" ] || { echo "before $1, after $2"; return 1; }; }

# checksums DIRECTORY: one line for everything in it, names and contents.
checksums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }

# clean DEVICE: whether its file system is; what is wrong goes to the console.
clean() { e2fsck -fn "$1" >/run/fsck.log 2>&1 || { cat /run/fsck.log; return 1; }; }

# The kernel's client says so when it is answered with an error, or by nobody.
no_complaints() { ! dmesg | grep -E 'Other side returned error|Double reply|Unexpected reply|Connection timed out|Send control failed|I/O error, dev nbd'; }

# Connections may end here, but nothing fails.
no_io_errors() { ! dmesg | grep -E 'Other side returned error|I/O error|Aborting journal|Remounting'; }
