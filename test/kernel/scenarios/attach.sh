# The client's service keeps a device attached while the server is stopped, killed and away.

mkfs.ext4 -q /dev/ram0
mkdir /mnt/ram /mnt/nbd
mount /dev/ram0 /mnt/ram
image=/mnt/ram/disk.img
truncate -s 128M "$image"

synced() { /usr/bin/python3 -B "$checkout/test/kernel/synced.py" "$@"; }
count() { wc -l </run/list; }
more_than() { [ "$(count)" -gt "$1" ]; }

serve "$image"
"$checkout/deploy/attach/aionbd-attach" --connections 2 --timeout 3 "nbd://127.0.0.1:$PORT/disk" "$DEV" >/run/attach.log 2>&1 &
CLIENT=$!
within 10 attached || { cat /run/attach.log; give_up "it attaches"; }
mkfs.ext4 -q -F "$DEV"
mount "$DEV" /mnt/nbd
mkdir /mnt/nbd/a
touch /run/list
synced write /mnt/nbd/a /run/list &
W=$!
(while dd if=/dev/zero of=/mnt/nbd/big bs=64k count=64 oflag=direct conv=notrunc status=none; do :; done) &
D=$!
for how in KILL TERM; do
for away in 0 4; do
    within 40 more_than $(($(count) + 10))
    say "# $how $away count $(count)"
    kill -$how $SERVER
    wait $SERVER
    sleep $away
    before=$(count)
    serve "$image"
    begin=$SECONDS
    ok "$how: goes on" within 40 more_than "$before"
    say "# took $((SECONDS - begin))"
    cat /run/attach.log; : > /run/attach.log
    dmesg | tail -30; dmesg -C
    kill -0 $D && say "# direct writer alive" || say "# direct writer gone"
done
done
kill $W $D
wait $W $D
ok "all there" synced check /mnt/nbd/a /run/list
umount /mnt/nbd
ok clean clean "$DEV"
kill -TERM $CLIENT
wait $CLIENT
say "# client exit $?"
cat /run/attach.log
ok "detached" detached
dmesg | tail
