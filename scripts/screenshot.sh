#!/usr/bin/env bash
# Makes docs/topology.png, the picture in the README, of the drawing that the
# tests of plugin/graph keep.
set -euo pipefail
cd "$(dirname "$0")/.."

svg=$PWD/plugin/graph/testdata/host.svg
size=$(sed -n '1s/.* width="\([0-9]*\)" height="\([0-9]*\)".*/\1,\2/p' "$svg")
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
# The sandbox needs user namespaces, which root may not have; the page is ours.
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" \
	--window-size="$size" --screenshot="$PWD/docs/topology.png" "file://$svg" 2>/dev/null
ls -l docs/topology.png
