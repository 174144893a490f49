# The root of the managed plugin, as `make plugin` builds it:
# docs/managed-plugin.md says how to take it out. The last stage alone is an
# image that runs as a system service would.
#
#   docker build -t ndp6-rootfs .

# Any image with Go and a shell.
ARG GO_IMAGE=golang:1.26-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY driver driver
COPY ipam ipam
COPY netutil netutil
COPY plugin plugin
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o /bin/ndp6 ./plugin/cmd/ndp6
COPY scripts/rootfs.sh scripts/
RUN scripts/rootfs.sh /bin/ndp6 /out

FROM scratch
COPY --from=build /out /
ENTRYPOINT ["/usr/bin/ndp6", "serve"]
