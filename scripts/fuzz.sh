#!/usr/bin/env bash
# Runs every fuzz target for a while, and fails after the last if one found something.
#
#   fuzz.sh [DURATION [PATTERN]]    1m each; only the targets whose name has PATTERN
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:-1m} pattern=${2:-}
mapfile -t targets < <(grep -rhoE --include='*_test.go' --with-filename '^func Fuzz[A-Za-z0-9_]*' . | sort)
failed=()
for target in "${targets[@]}"; do
	dir=$(dirname "${target%%:*}") name=${target##*func }
	[[ $name == *"$pattern"* ]] || continue
	echo "== $name in $dir for $duration"
	# Go counts no executions while it makes an interesting input smaller, which
	# takes up to a minute each by default and brings little.
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime 10x "$dir" </dev/null || failed+=("$name in $dir")
done
if ((${#failed[@]})); then
	printf 'failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
