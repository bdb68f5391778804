# blkdiscard and fstrim give blocks back to the file system below.

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 64M "$image"
head -c 16M /dev/urandom >/mnt/random

serve "$image"
attach tcp 2 -b 4096 || give_up "nbd-client attaches"

dd if=/mnt/random of="$DEV" bs=1M oflag=direct status=none
sync
full=$(allocated "$image")
ok "16 MiB written take 16 MiB in the backing file" [ "$full" -ge $((16 << 20)) ]
ok "blkdiscard succeeds" blkdiscard -o 4M -l 8M "$DEV"
sync
now=$(allocated "$image")
ok "blkdiscard of 8 MiB frees 8 MiB of the backing file" less_by "$full" "$now" $(((8 << 20) - (64 << 10)))
ok "blkdiscard leaves what lies before it" cmp -n $((4 << 20)) /mnt/random "$DEV"
ok "blkdiscard leaves what lies after it" cmp -n $((4 << 20)) -i $((12 << 20)) /mnt/random "$DEV"
ok "what was discarded reads as zeroes" cmp -n $((8 << 20)) -i $((4 << 20)):0 "$DEV" /dev/zero
ok "blkdiscard -z writes zeroes" blkdiscard -z -o 0 -l 1M "$DEV"
ok "what blkdiscard -z wrote reads as zeroes" cmp -n $((1 << 20)) "$DEV" /dev/zero

blkdiscard "$DEV"
# Without the thread that zeroes inode tables behind one's back, and takes blocks for that.
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$DEV"
mount "$DEV" /mnt/nbd
cp /mnt/random /mnt/nbd/gone
cp /mnt/random /mnt/nbd/kept
sync
full=$(allocated "$image")
rm /mnt/nbd/gone
sync
ok "fstrim succeeds" fstrim -v /mnt/nbd
sync
now=$(allocated "$image")
ok "fstrim after the removal of 16 MiB frees 15 MiB or more of the backing file" less_by "$full" "$now" $((15 << 20))
echo 3 >/proc/sys/vm/drop_caches
ok "fstrim leaves the other file alone" cmp /mnt/random /mnt/nbd/kept
umount /mnt/nbd
ok "e2fsck finds nothing to mend after fstrim" clean "$DEV"
ok "the kernel complained about no reply" no_complaints
detach
stop_server "SIGTERM ends the server"
