#!/usr/bin/env bash
# Makes sure that commands are there.
#
#   need.sh COMMAND:PACKAGE ... [PACKAGE ...]
#
# As root on Debian what is missing is installed. Otherwise the script says
# what is missing and how to install it. A bare PACKAGE has no command to look
# for: dpkg is asked.
set -euo pipefail

missing=()
for need in "$@"; do
	command=${need%%:*} package=${need#*:}
	if [[ $need == *:* ]]; then
		PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || missing+=("$package")
	elif command -v dpkg-query >/dev/null; then
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
	fi
done
((${#missing[@]})) || exit 0

if ((EUID == 0)) && command -v apt-get >/dev/null; then
	echo "installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	install=(apt-get install -y -qq --no-install-recommends "${missing[@]}")
	"${install[@]}" >/dev/null 2>&1 </dev/null ||
		{ apt-get update -qq >&2 </dev/null && "${install[@]}" >&2 </dev/null; }
	exit
fi
echo "missing: ${missing[*]}" >&2
echo "on Debian: sudo apt-get install ${missing[*]}" >&2
exit 1
