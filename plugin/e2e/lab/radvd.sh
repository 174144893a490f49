#!/bin/sh
# Runs radvd on the files of a folder. A line on standard input has it read them
# again; the end of the input, which comes however the run ends, ends it.
#
#   radvd.sh DIR
set -eu

dir=$1
radvd --nodaemon --logmethod=stderr --config="$dir/radvd.conf" --pidfile="$dir/radvd.pid" &
while read -r _; do
	# It advertises before it catches signals, and one that comes too early ends it.
	for _ in $(seq 500); do
		if grep -q '^SigCgt:.*[13579bdf]$' /proc/$!/status; then break; fi
		sleep 0.01
	done
	kill -HUP $!
done
kill $! || : # It may have ended by itself.
wait $! || status=$?
rm -r "$dir"
exit "${status:-0}"
