# A file system on the device: made, filled, checked, detached, attached again, for each way to attach. TCP with several
# connections, and a Unix socket with one, are what restart.sh has.

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd /mnt/tree
mount /dev/ram0 /mnt/ram
truncate -s 32M /mnt/ram/disk.img

# A tree of many small files, some large ones, and awkward sizes.
for d in 1 2; do
    mkdir "/mnt/tree/$d"
    for f in 1 2 3 4 5 6 7 8 9 10; do head -c $((f * f * 977 + d)) /dev/urandom >"/mnt/tree/$d/$f"; done
done
head -c 5000011 /dev/urandom >/mnt/tree/large
want=$(checksums /mnt/tree)

serve /mnt/ram/disk.img
for variant in "tcp 1" "unix 4"; do
    set -- $variant
    as="attached over $1 with -C $2"
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches over $1 with -C $2"
    equal "$as: the device has the size of the file" "$(blockdev --getsize64 "$DEV")" $((32 << 20))
    equal "$as: that many connections are open" "$(connections "$1")" "$2"
    ok "$as: mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DEV"
    ok "$as: it mounts" mount "$DEV" /mnt/nbd
    ok "$as: a tree is copied" cp -a /mnt/tree/. /mnt/nbd/
    sync
    equal "$as: the tree reads back equal" "$(checksums /mnt/nbd)" "$want"
    ok "$as: it unmounts" umount /mnt/nbd
    ok "$as: e2fsck finds nothing to mend" clean "$DEV"
    ok "$as: nbd-client -d detaches" detach
    equal "$as: no connection stays open" "$(within 5 no_connection "$1"; connections "$1")" 0
    attach "$1" "$2" -b 4096 || give_up "nbd-client attaches again over $1 with -C $2"
    ok "$as again: it mounts" mount -o ro "$DEV" /mnt/nbd
    equal "$as again: the tree is equal" "$(checksums /mnt/nbd)" "$want"
    umount /mnt/nbd
    detach
done
equal "nbd-client -l lists the export" "$(nbd-client -l 127.0.0.1 "$PORT" 2>/dev/null | grep -cx disk)" 1
for extra in "-g the old option EXPORT_NAME" "-L ioctl instead of netlink"; do
    as="attached with ${extra#* }"
    attach tcp 1 -b 4096 "${extra%% *}" || give_up "nbd-client attaches with ${extra#* }"
    ok "$as: the device holds what the file holds" cmp "$DEV" /mnt/ram/disk.img
    ok "$as: nbd-client -d detaches" detach
done
ok "the kernel complained about no reply" no_complaints
stop_server "SIGTERM ends the idle server"
ok "e2fsck finds nothing to mend in the file itself" clean /mnt/ram/disk.img
