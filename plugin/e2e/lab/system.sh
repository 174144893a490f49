#!/bin/sh
# The end of the first process of a lab host that systemd runs: after host.sh, in
# the same process, in place of wait.sh.
#
#   system.sh CGROUP    CGROUP: the name of a cgroup for all of its processes
set -eu

cgroup=$1
base=/sys/fs/cgroup
[ ! -d $base/unified ] || base=$base/unified
mkdir -p "$base/$cgroup"
echo 0 >"$base/$cgroup/cgroup.procs"

# When the run ends, however it ends, the standard input does, and this powers
# off: SIGRTMIN+14 makes systemd leave at once, and the rest of the host with it.
exec 3<&0
perl -e '1 until defined($n = sysread(STDIN, $_, 1)) && $n == 0; kill 48, 1' <&3 >/dev/null 2>&1 &
exec 3<&-

ip link set lo up
# These are for machines; what they change is not the host's alone.
for unit in systemd-sysctl systemd-modules-load systemd-binfmt systemd-udevd systemd-remount-fs systemd-random-seed; do
	ln -sf /dev/null /etc/systemd/system/$unit.service
done
ln -sf /dev/null /etc/systemd/system/proc-sys-fs-binfmt_misc.automount
# Only what a test starts.
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' >/etc/systemd/system/lab.target
rm -f /etc/systemd/system/*.wants/docker.* /etc/systemd/system/*.wants/ufw.* /etc/systemd/system/*.wants/firewalld.*

echo ready
# systemd wants the cgroups of version 2 where it looks for them, and, as on a
# machine, mounts that its services see.
exec unshare --cgroup sh -c '
	umount -l /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount --make-rshared /
	exec env -i container=ndp6-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=lab.target --log-target=journal </dev/null >/dev/null 2>&1'
