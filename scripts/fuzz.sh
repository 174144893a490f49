#!/usr/bin/env bash
# Runs every fuzz target for a while.
#
#   fuzz.sh DURATION
set -euo pipefail
cd "$(dirname "$0")/.."

grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' --with-filename . |
	while IFS=: read -r file func; do
		name=${func#func }
		echo "$name in $(dirname "$file")"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$(dirname "$file")" </dev/null
	done
