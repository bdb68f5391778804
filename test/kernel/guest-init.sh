#!/bin/bash
# Process 1 of the guest: prepares a machine with a RAM disk and the kernel's nbd client, runs one scenario, reports, and
# powers off. Its root is the host's own file tree, so everything that it writes goes to file systems of its own.
#
# From the kernel's command line, as environment:
#   checkout   the source tree, with dist/ built
#   report     a file on the host: `ok - SENTENCE` or `not ok - SENTENCE` a line, `done` at the end
#   scenario   name of a file in scenarios/
#   stand_in   empty, or nbdkit: serve with that instead
#   node       the interpreter

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /mnt
mount -t tmpfs tmp /run
ip link set lo up
modules=/usr/lib/uml/modules/$(uname -r)/kernel
insmod "$modules/drivers/block/nbd.ko" nbds_max=2
insmod "$modules/drivers/block/brd.ko" rd_size=393216 rd_nr=1
insmod "$modules/drivers/block/loop.ko" max_loop=2

. "$checkout/test/kernel/guest.sh"
. "$checkout/test/kernel/scenarios/$scenario.sh"

say done
sync
echo o >/proc/sysrq-trigger
sleep 10
