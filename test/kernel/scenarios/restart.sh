# SIGTERM while programs write, then a restart: what a program had synced before is there afterwards (X10, X20).

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 128M "$image"

synced() { /usr/bin/python3 -B "$checkout/test/kernel/synced.py" "$@"; }

# both_synced FILES: whether each of the two writers has synced that many.
both_synced() { has "$1" /run/list.a && has "$1" /run/list.b; }
has() { lines "$2"; [ "$LINES_FOUND" -ge "$1" ]; }

both_there() { synced check /mnt/nbd/a /run/list.a && synced check /mnt/nbd/b /run/list.b; }

for variant in "tcp 4" "unix 1"; do
    set -- $variant
    as="over $1 with -C $2"
    rm -f /run/list*
    touch /run/list.a /run/list.b
    serve "$image"
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches $as"
    mkfs.ext4 -q -F "$DEV"
    mount "$DEV" /mnt/nbd
    mkdir /mnt/nbd/a /mnt/nbd/b
    sync
    synced write /mnt/nbd/a /run/list.a &
    a=$!
    synced write /mnt/nbd/b /run/list.b &
    b=$!
    # A third writer keeps the connections busy.
    (while dd if=/dev/zero of=/mnt/nbd/big bs=64k count=64 oflag=direct conv=notrunc status=none 2>/dev/null; do :; done) &
    c=$!
    ok "$as: two writers sync file after file" within 40 both_synced 20
    stop_server "$as: SIGTERM during writes ends the server"
    # What was on its way when the connection ended stays with the kernel until the device is given up.
    nbd-client -d "$DEV" >/dev/null 2>&1
    wait "$a" "$b" "$c"
    umount /mnt/nbd 2>/dev/null || umount -l /mnt/nbd
    within 20 detached || give_up "$as: the device lets go of the server that ended"

    serve "$image"
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches again $as"
    mount "$DEV" /mnt/nbd || give_up "$as: the file system mounts after the restart"
    ok "$as: all $(cat /run/list.[ab] | wc -l) files that were synced are there after the restart" both_there
    umount /mnt/nbd
    ok "$as: e2fsck finds nothing to mend after the journal was replayed" clean "$DEV"
    detach
    stop_server "$as: SIGTERM ends the server that was restarted"
done
