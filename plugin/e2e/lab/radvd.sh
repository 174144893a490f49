#!/bin/sh
# Runs radvd on the files of a folder. A line on standard input has it read them
# again; the end of the input, which comes however the run ends, ends it.
#
#   radvd.sh DIR
set -eu

dir=$1
radvd --nodaemon --logmethod=stderr --config="$dir/radvd.conf" --pidfile="$dir/radvd.pid" &
while read -r _; do kill -HUP $!; done
kill $! || : # It may have ended by itself.
wait $! || status=$?
rm -r "$dir"
exit "${status:-0}"
