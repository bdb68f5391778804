# nbd-client does not ask for block sizes: requests of 512 bytes reach backings whose sectors have 4096 (X17).

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram
mount /dev/ram0 /mnt/ram

# A block device with sectors of 4 KiB, and a file on a file system on such a device.
truncate -s 16M /mnt/ram/device.img
truncate -s 64M /mnt/ram/fs.img
losetup -b 4096 --direct-io=on /dev/loop0 /mnt/ram/device.img
losetup -b 4096 --direct-io=on /dev/loop1 /mnt/ram/fs.img
mkfs.ext4 -q -b 4096 /dev/loop1
mkdir /mnt/fs4k
mount /dev/loop1 /mnt/fs4k
truncate -s 16M /mnt/fs4k/disk.img

sectors() { /usr/bin/python3 "$checkout/test/kernel/sectors.py" "$1" "$DEV" /mnt/model; }

for backing in "block_device /dev/loop0 direct=on" "file /mnt/fs4k/disk.img direct=on" "file /mnt/fs4k/disk.img direct=off"; do
    set -- $backing
    what="${1/_/ } with 4 KiB sectors, $3"
    head -c 4M /dev/urandom >/mnt/model
    dd if=/mnt/model of="$2" bs=1M conv=notrunc,fsync status=none
    serve "$2" "$3"
    attach tcp 4 -b 512 || give_up "nbd-client attaches to a $what"
    equal "$what: the kernel sees sectors of 512 bytes" "$(blockdev --getss "$DEV")" 512
    ok "$what: single sectors and runs of them are written" sectors scattered
    ok "$what: they end up where they belong" cmp -n $((4 << 20)) /mnt/model "$DEV"
    ok "$what: four writers at once write into every block" sectors contended
    echo 3 >/proc/sys/vm/drop_caches
    ok "$what: they lose nothing to one another" cmp -n $((4 << 20)) /mnt/model "$DEV"
    dd if="$DEV" of=/mnt/read bs=512 skip=7 count=500 iflag=direct status=none
    ok "$what: reads of 512 bytes are right" cmp -n 256000 -i 3584:0 /mnt/model /mnt/read
    ok "$what: the kernel complained about no reply" no_complaints
    detach
    stop_server "$what: SIGTERM ends the server"
    ok "$what: the backing holds what was written" cmp -n $((4 << 20)) /mnt/model "$2"
done
