#!/bin/sh
# Makes a lab host's file system inside its own mount, network and pid
# namespaces. wait.sh follows in the same process.
#
#   host.sh BASE [ROOT]    BASE: an empty folder to mount on
#                          ROOT: the Debian root to run on; none means the machine's own
set -eu

base=$1 root=${2:-}
mount --make-rprivate /
mount -t tmpfs -o mode=0755 ndp6-lab "$base"

if [ -n "$root" ]; then
	mkdir "$base/upper" "$base/work" "$base/root"
	mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" ndp6-lab "$base/root"
	new=$base/root
	mount --rbind /dev "$new/dev"
else
	new=
fi

# A sysfs of this network namespace, under which dockerd still finds the cgroups.
mkdir -p "$base/cgroup"
mount --rbind /sys/fs/cgroup "$base/cgroup"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount --move "$base/cgroup" "$new/sys/fs/cgroup"

# dockerd's data must not lie on an overlay, and nothing of the machine's own
# Docker may shine through.
for dir in /var/lib/docker /var/lib/containerd /var/lib/ndp6 /etc/docker; do
	mkdir -p "$new$dir"
	mkdir -p "$base/data$dir"
	mount --bind "$base/data$dir" "$new$dir"
done
mount -t tmpfs -o mode=0755 tmpfs "$new/run"
mkdir -p "$new/run/docker/plugins" "$new/run/lock"

if [ -n "$root" ]; then
	cd "$new"
	mkdir -p .old
	pivot_root . .old
	umount -l /.old
	rmdir /.old
	echo 'nameserver 192.0.2.126' >/etc/resolv.conf
	echo 0123456789abcdef0123456789abcdef >/etc/machine-id
fi
