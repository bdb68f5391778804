# SIGTERM while programs write, then a restart: what a program had synced before is there afterwards (X10, X20).

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 128M "$image"

# write_files DIRECTORY LIST: files of growing size, each synced; a line in LIST when the sync has returned.
write_files() {
    local n
    for n in {1..100000}; do
        head -c $((n * 1777 % 150000 + 1)) /dev/urandom >"/run/$n.tmp"
        dd if="/run/$n.tmp" of="$1/$n" bs=64k conv=fsync status=none 2>/dev/null || return
        echo "$(sha256sum <"/run/$n.tmp") $n" >>"$2"
        rm "/run/$n.tmp"
    done
}

# all_there DIRECTORY LIST
all_there() {
    local sum dash name bad=0
    while read -r sum dash name; do
        if [ "$(sha256sum <"$1/$name")" != "$sum  -" ]; then
            echo "$name is not what was synced"
            bad=1
        fi
    done <"$2"
    return "$bad"
}

for variant in "tcp 4" "unix 1"; do
    set -- $variant
    as="over $1 with -C $2"
    rm -rf /run/list*
    serve "$image"
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches $as"
    mkfs.ext4 -q -F "$DEV"
    mount "$DEV" /mnt/nbd
    mkdir /mnt/nbd/a /mnt/nbd/b
    sync
    write_files /mnt/nbd/a /run/list.a &
    a=$!
    write_files /mnt/nbd/b /run/list.b &
    b=$!
    # A third writer keeps requests in flight without ever waiting for them.
    (while dd if=/dev/zero of=/mnt/nbd/big bs=256k count=16 status=none 2>/dev/null; do :; done) &
    c=$!
    sleep 3
    stop_server "$as: SIGTERM during writes ends the server"
    wait "$a" "$b" "$c"
    equal "$as: both writers had files synced" \
        "$([ "$(wc -l </run/list.a)" -gt 0 ] && [ "$(wc -l </run/list.b)" -gt 0 ] && echo yes)" yes
    umount /mnt/nbd 2>/dev/null || umount -l /mnt/nbd
    nbd-client -d "$DEV" >/dev/null 2>&1
    within 20 detached || give_up "$as: the device lets go of the server that ended"

    serve "$image"
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches again $as"
    mount "$DEV" /mnt/nbd || give_up "$as: the file system mounts after the restart"
    ok "$as: all $(cat /run/list.? | wc -l) files that were synced are there after the restart" \
        eval 'all_there /mnt/nbd/a /run/list.a && all_there /mnt/nbd/b /run/list.b'
    umount /mnt/nbd
    ok "$as: e2fsck finds nothing to mend after the journal was replayed" clean "$DEV"
    detach
    stop_server "$as: SIGTERM ends the server that was restarted"
done
