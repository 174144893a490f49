#!/bin/sh
# Makes the root file system of the managed plugin: the binary, and places to
# mount what config.json names.
#
#   rootfs.sh BINARY DIR
set -eu

binary=$1 dir=$2
mkdir -p "$dir/usr/bin" "$dir/run/docker/plugins" "$dir/hostplugins" "$dir/hostsysnet" "$dir/var/lib/ndp6" "$dir/etc"
cp "$binary" "$dir/usr/bin/ndp6"
touch "$dir/etc/machine-id"
find "$dir" -type d -exec chmod 0755 {} +
chmod 0755 "$dir/usr/bin/ndp6"
chmod 0644 "$dir/etc/machine-id"
