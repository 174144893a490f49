#!/bin/sh
# Boots a lab host again: in the mount namespace that it had, and in new network
# and pid namespaces. What lies in memory on a real host is gone, what lies on its
# disk is as it was. wait.sh follows in the same process.
set -eu

# The mounts of containers, and of their namespaces, which these keep alive.
mount -t proc proc /proc
while read -r _ _ _ _ point _; do
	case $point in
	# One inside another goes with it.
	/var/lib/docker/* | /var/lib/containerd/*) umount -l "$point" || : ;;
	esac
done </proc/self/mountinfo
umount -l /run

mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/docker/plugins /run/lock

# A sysfs of this network namespace, with the cgroups of the one before.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup
rmdir /run/cgroup
