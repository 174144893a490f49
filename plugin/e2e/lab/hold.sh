#!/bin/sh
# Runs a command until a line on standard input names the signal that ends it, or
# the input ends, which comes however the run ends.
#
#   hold.sh COMMAND [ARGUMENT ...]
set -eu

"$@" </dev/null >&2 &
read -r signal || signal=TERM
kill -"$signal" $! || : # It may have ended by itself.
wait $! || :
