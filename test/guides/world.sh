#!/bin/bash
# A machine of its own for the reader of a document: with network, processes and mounts of its own, so that addresses and
# paths can be used as they are printed. guides.test.ts starts it, in new namespaces or as process 1 of User Mode Linux.
#
# From the environment; in User Mode Linux, from the kernel's command line:
#   checkout   the source tree, with dist/ and build/
#   place      an empty folder for everything that is written
#   report     a file for what came of it, outside of `place`
#   document   what is followed, relative to `checkout`
#   node       the interpreter
#   uml        1 in User Mode Linux, where the kernel's client is
set -euo pipefail

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
export npm_config_offline=true npm_config_update_notifier=false
can=()

if [ "${uml:-}" = 1 ]; then
    can=(--can kernel)
    # Whatever happens, the machine is switched off.
    trap 'sync; echo o >/proc/sysrq-trigger; sleep 10' EXIT
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mkdir -p /dev/pts
    mount -t devpts devpts /dev/pts
    modules=/usr/lib/uml/modules/$(uname -r)
    insmod "$modules/kernel/drivers/block/brd.ko" rd_size=1048576 rd_nr=1
    mkfs.ext4 -q /dev/ram0
    mount /dev/ram0 "$place"
    # For modprobe, which looks into lib/modules.
    mkdir -p "$place/lib/modules"
    ln -s "$modules" "$place/lib/modules/"
    export MODPROBE_OPTIONS="-d $place"
fi
ip link set lo up

# Folders where documents put things are empty at first, and nobody else sees what is put there.
for target in /srv /mnt /run /var/lib /etc/default /etc/prometheus /etc/systemd/system; do
    [ -d "$target" ] || continue
    mkdir -p "$place/mounts$target"
    mount --bind "$place/mounts$target" "$target"
done

# The reader is in the source folder, which is the checkout's but for what is added to it; and aionbd is installed.
mkdir -p "$place/home/aionbd" "$place/bin" "$place/files"
cd "$place/home/aionbd"
for entry in "$checkout"/*; do
    name=${entry##*/}
    if [ -d "$entry" ]; then
        mkdir "$name"
        mount --bind "$entry" "$name"
        mount -o remount,bind,ro "$name"
    elif [[ $name != *.img ]]; then
        cp "$entry" .
    fi
done
printf '#!/bin/sh\nexec "%s" "%s/dist/cli/main.js" "$@"\n' "$node" "$checkout" >"$place/bin/aionbd"
chmod 755 "$place/bin/aionbd"
export PATH=$place/bin:$(dirname "$node"):$PATH HOME=$place/home

status=0
"$node" "$checkout/test/guides/follow.mjs" "$document" --report "$report" --files "$place/files" "${can[@]}" || status=$?
exit "$status"
