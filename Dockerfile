# The root of the managed plugin, as `make plugin` builds it. The last stage
# alone is an image that runs as a system service would:
#
#   docker build -t ndp6 .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/usr/bin/ndp6 ./plugin/cmd/ndp6 \
	&& mkdir -p /out/run/docker/plugins /out/hostplugins /out/hostsysnet /out/var/lib/ndp6 /out/etc \
	&& touch /out/etc/machine-id

FROM scratch
COPY --from=build /out /
ENTRYPOINT ["/usr/bin/ndp6", "serve"]
