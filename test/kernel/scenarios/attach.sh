# The client's unit, by the commands that are in it: a filesystem goes on over stops and kills of the server.

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 128M "$image"

synced=(/usr/bin/python3 -B "$checkout/test/kernel/synced.py")
count() { wc -l </run/list; }
more_than() { lines /run/list; [ "$LINES_FOUND" -gt "$1" ]; }
said() { grep -q "$1" /run/attach.log; }

# start_unit ADDRESS: what systemd does for aionbd-attach@nbd0.service, with these lines in /etc/default/aionbd-attach-nbd0.
start_unit() {
    AIONBD_URI=$1
    AIONBD_ATTACH_ARGS="--connections 2 --block-size 4096 --timeout 2 --hold 60"
    local line
    line=$(sed -n 's/^ExecStart=//p' "$checkout/deploy/systemd/aionbd-attach@.service")
    line=${line//%i/nbd0}
    line=${line/#\/usr\/bin/$checkout/deploy/attach}
    # With no more rights than the unit has.
    local rights
    rights=$(sed -n 's/^CapabilityBoundingSet=//p' "$checkout/deploy/systemd/aionbd-attach@.service")
    rights=$(tr 'A-Z ' 'a-z,' <<<"${rights//CAP_/+}")
    eval "exec setpriv --bounding-set=-all,$rights --no-new-privs $line" >/run/attach.log 2>&1 &
    UNIT=$!
}

# lives_on SENTENCE
lives_on() {
    local before
    before=$(count)
    ok "$1: a program goes on writing and syncing files" within 60 more_than $((before + 5))
    ok "$1: and one that writes past the page cache was told of no error" kill -0 "$DIRECT"
}

for over in tcp unix; do
    : >/run/list
    case $over in
    tcp) uri="nbd://127.0.0.1:$PORT/disk" ;;
    unix) uri="nbd+unix:///disk?socket=$SOCKET" ;;
    esac
    start_unit "$uri"
    ok "over $over: it waits for a server that is not there yet" within 40 said 'trying again'
    serve "$image" direct=on --on-stop disconnect
    within 40 attached || { cat /run/attach.log; give_up "over $over: the device is attached when the server is there"; }
    within 40 said 'is attached'
    equal "over $over: that many connections are open" "$(connections $over)" 2

    [ "$over" = unix ] || mkfs.ext4 -q -F "$DEV"
    mount "$DEV" /mnt/nbd
    mkdir "/mnt/nbd/$over"
    # Not by a function, which would be a shell of its own: it is killed later on.
    "${synced[@]}" write "/mnt/nbd/$over" /run/list &
    WRITER=$!
    # Ends at the first error, or when it is told to.
    rm -f /run/enough
    (while [ ! -e /run/enough ] && dd if=/dev/zero of=/mnt/nbd/big bs=64k count=16 oflag=direct conv=notrunc status=none; do :; done) &
    DIRECT=$!
    within 40 more_than 5

    kill -KILL "$SERVER"
    wait "$SERVER"
    serve "$image" direct=on --on-stop disconnect
    lives_on "over $over, the server was killed and is back at once"

    stop_server "over $over: SIGTERM during writes ends the server"
    [ "$over" = unix ] || sleep 5
    serve "$image" direct=on --on-stop disconnect
    lives_on "over $over, the server was stopped$([ "$over" = unix ] || echo ' and away for five seconds')"

    if [ "$over" = tcp ]; then
        kill -KILL "$UNIT"
        wait "$UNIT"
        start_unit "$uri"
        ok "killed itself, it takes the device over" within 40 said 'taken over'
        stop_server "with the device taken over, SIGTERM ends the server"
        truncate -s 256M "$image"
        serve "$image" direct=on --on-stop disconnect
        lives_on "taken over, and the server was stopped"
        equal "the device grows with the image" "$(blockdev --getsize64 "$DEV")" $((256 << 20))
    fi

    touch /run/enough
    kill "$WRITER"
    wait "$WRITER" "$DIRECT"
    echo 3 >/proc/sys/vm/drop_caches
    ok "over $over: all $(count) files that were synced are there" "${synced[@]}" check "/mnt/nbd/$over" /run/list
    [ "$over" = unix ] || ok "over $over: the filesystem grows on the device that has grown" resize2fs "$DEV"
    ok "over $over: it unmounts" umount /mnt/nbd
    ok "over $over: e2fsck finds nothing to mend" clean "$DEV"
    if [ "$over" = tcp ]; then
        kill -TERM "$UNIT"
        wait "$UNIT"
        equal "over $over: SIGTERM ends it" $? 0
    else
        nbd-client -d "$DEV" >/run/detach.log
        within 40 said 'detached by somebody else'
        wait "$UNIT"
        equal "over $over: it ends when somebody else has detached the device" $? 1
    fi
    ok "over $over: and detaches the device" detached
    equal "over $over: no connection stays open" "$(within 5 no_connection $over; connections $over)" 0
    stop_server "over $over: SIGTERM ends the server without clients"
    ok "over $over: the kernel reported no I/O error" no_io_errors
    cat /run/attach.log
done
