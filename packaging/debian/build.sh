#!/usr/bin/env bash
# Builds OUT/ndp6_VERSION_ARCH.deb.
#
#   build.sh ARCH VERSION OUT NFPM...    ARCH: a GOARCH; NFPM: the command
set -euo pipefail
cd "$(dirname "$0")/../.."

export ARCH=$1 VERSION=$2 BUILD=build/deb/$1
out=$3
nfpm=("${@:4}")
unset GOARCH # The tools run on this machine.
rm -rf "$BUILD"
share=$BUILD/share
mkdir -p "$share"/{man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
export CGO_ENABLED=0
GOARCH=$ARCH go build -ldflags '-s -w' -o "$BUILD/ndp6" ./plugin/cmd/ndp6

# What a binary says of itself, this machine's says too.
go build -ldflags '-s -w' -o "$BUILD/native" ./plugin/cmd/ndp6
"$BUILD/native" manual "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
"$BUILD/native" completion bash >"$share/bash-completion/completions/ndp6"
"$BUILD/native" completion zsh >"$share/zsh/vendor-completions/_ndp6"
"$BUILD/native" completion fish >"$share/fish/vendor_completions.d/ndp6.fish"
chmod -R u=rwX,go=rX "$share"

"${nfpm[@]}" package --packager deb --config packaging/debian/nfpm.yaml --target "$out/"
