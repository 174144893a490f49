#!/bin/sh
# The end of the first process of a lab host: it says "ready" and waits. When its
# standard input ends, it ends, and with it every process, mount and link of
# the host: also when the run that started it was killed.
set -eu

# As machines have them, each boot has an id of its own.
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
ip link set lo up
echo ready
# PID 1 must reap what it adopts, which dash does not promise.
exec perl -e '$SIG{CHLD} = "IGNORE"; 1 until defined($n = sysread(STDIN, $_, 1)) && $n == 0'
