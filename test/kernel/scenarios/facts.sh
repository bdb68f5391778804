# experiment
mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 128M "$image"
count() { wc -l </run/list; }
more_than() { [ "$(count)" -gt "$1" ]; }
synced() { /usr/bin/python3 -B "$checkout/test/kernel/synced.py" "$@"; }
for v in "-C 2 -t 3" "-C 1 -t 3 -L -p" ; do
    serve "$image"
    nbd-client -N disk $v -b 4096 127.0.0.1 $PORT $DEV; within 10 attached
    mkfs.ext4 -q -F $DEV; mount $DEV /mnt/nbd; mkdir /mnt/nbd/a; rm -f /run/list; touch /run/list
    synced write /mnt/nbd/a /run/list & W=$!
    within 20 more_than 20
    kill -KILL $SERVER; wait $SERVER
    before=$(count)
    sleep 1
    serve "$image"
    ok "$v goes on after kill" within 8 more_than $((before+5))
    dmesg | tail -30; dmesg -C
    kill $W; sleep 1
    grep nbd /proc/mounts; cat /sys/block/nbd0/size
    killall nbd-client
    nbd-client -d $DEV
    wait $W
    umount /mnt/nbd || umount -l /mnt/nbd
    within 10 detached || give_up "not detached"
    kill -KILL $SERVER; wait $SERVER
done
# hold expiry
serve "$image"
"$checkout/deploy/attach/aionbd-attach" --connections 2 --timeout 3 --hold 3 "nbd://127.0.0.1:$PORT/disk" "$DEV" & C=$!
within 10 attached
mkfs.ext4 -q -F $DEV; mount $DEV /mnt/nbd;
kill -KILL $SERVER; wait $SERVER
date; dd if=/dev/zero of=/mnt/nbd/x bs=1M count=1 oflag=direct; date
serve "$image"
sleep 8
umount /mnt/nbd
ok "after hold: readable again" dd if=$DEV of=/dev/null bs=1M count=4 iflag=direct
e2fsck -fp $DEV
ok "fsck" clean $DEV
ok "mounts again" mount $DEV /mnt/nbd
umount /mnt/nbd
kill $C; wait $C; say "# exit $?"
dmesg | tail -40
