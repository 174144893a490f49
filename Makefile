# Every target has a line in `make help`.

SHELL := /bin/bash
# Git refuses to say anything about a checkout of another user.
export GOFLAGS := -trimpath -buildvcs=$(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

GO       ?= go
TOOL     := $(GO) tool -modfile=scripts/tools/go.mod
NFPM     := $(GO) tool -modfile=scripts/tools/nfpm.mod nfpm
PLUGIN   ?= ndp6-net
STATE    ?= /var/lib/ndp6
FUZZTIME ?= 60s
# Of the Debian package.
VERSION  ?= 0.0.0~git$(shell git log -1 --format=%cd.%h --date=format:%Y%m%d%H%M%S 2>/dev/null)
OUT      ?= build

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/ndp6, a static binary
	CGO_ENABLED=0 $(GO) build -ldflags '-s -w' -o bin/ndp6 ./plugin/cmd/ndp6

.PHONY: check
check: lint ## lint and unit tests, in two minutes
	$(GO) test -short ./...

.PHONY: test
test: lint test-kernel test-race test-e2e ## everything: lint, unit, kernel and race tests, scenarios on three Docker versions

.PHONY: test-kernel
test-kernel: ## unit and kernel tests in private namespaces, none skipped (root)
	@scripts/need.sh ip:iproute2 nft:nftables iptables-legacy:iptables sysctl:procps unshare:util-linux tc:iproute2 setpriv:util-linux clang-14:clang-14 llvm-strip-14:llvm-14 dbus-daemon:dbus-daemon prometheus:prometheus etcd:etcd-server chromium:chromium fonts-dejavu-core python3-firewall python3-nftables python3-dbus python3-gi
	NDP6_REQUIRE_NETNS=1 $(GO) test -count=1 -timeout 30m $$($(GO) list ./... | grep -v -e /driver/reconcile -e /plugin/fault)
	@# These print what they measured.
	NDP6_REQUIRE_NETNS=1 $(GO) test -count=1 -v -timeout 30m ./driver/reconcile ./plugin/fault

.PHONY: test-race
test-race: ## unit tests under the race detector
	@scripts/need.sh gcc:gcc libc6-dev
	@# What the firewall's tests send goes through the kernel, and their code has one goroutine.
	$(GO) test -race -short -timeout 30m $$($(GO) list ./... | grep -v /driver/firewall)

.PHONY: test-e2e
test-e2e: plugin lab ## scenarios on Docker 20.10, 26.1 and 28.5 (root); NDP6_E2E_VERSIONS="28.5" narrows, NDP6_E2E_FULL=1 lengthens, NDP6_E2E_RESPONDER=bpf has one way to answer
	NDP6_E2E=1 NDP6_BINARY=$(CURDIR)/bin/ndp6 $(GO) test -count=1 -v -p 1 -parallel 6 -timeout 60m ./plugin/e2e/...

.PHONY: bench
bench: build lab ## ndp6 beside Docker's own bridge and others (root); ARGS="-write docs/benchmarks", ARGS="-parts update"
	$(GO) run ./plugin/e2e/bench -binary bin/ndp6 $(ARGS)

.PHONY: demo
demo: build ## a private LAN, router and host: create, run, ping, HTTP, clean up (root)
	@scripts/need.sh dockerd:docker.io iptables:iptables ip:iproute2 nft:nftables perl:perl-base busybox-static
	@$(GO) run ./plugin/e2e/demo -binary bin/ndp6

.PHONY: screenshot
screenshot: ## open topologies in a browser, and make the picture in the README
	@scripts/need.sh chromium:chromium fonts-dejavu-core
	$(GO) test -count=1 -run TestBrowser -v ./plugin/graph
	scripts/screenshot.sh

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: lint
lint: ## vet, golangci-lint, shellcheck
	@scripts/need.sh shellcheck:shellcheck
	$(GO) vet ./...
	$(TOOL) golangci-lint run
	shellcheck .ci/run scripts/*.sh plugin/e2e/lab/*.sh packaging/debian/build.sh packaging/debian/p*

.PHONY: fmt
fmt: ## format the code
	$(TOOL) golangci-lint fmt

.PHONY: generate
generate: ## compile the eBPF program, whose objects are committed
	@scripts/need.sh clang-14:clang-14 llvm-strip-14:llvm-14
	$(GO) generate ./...

.PHONY: plugin
plugin: build ## build/plugin, what docker plugin create takes
	rm -rf build/plugin
	install -D -m 0644 config.json build/plugin/config.json
	scripts/rootfs.sh bin/ndp6 build/plugin/rootfs

.PHONY: install
install: plugin ## install the managed plugin on this machine's Docker (root)
	install -d -m 0700 $(STATE)
	install -d /run/docker/plugins
	docker plugin create $(PLUGIN) build/plugin
	[ -e /etc/machine-id ] || docker plugin set $(PLUGIN) machine-id.source=/dev/null
	docker plugin enable $(PLUGIN)

.PHONY: uninstall
uninstall: ## remove it; its networks first
	docker plugin disable $(PLUGIN)
	docker plugin rm $(PLUGIN)

.PHONY: push
push: plugin ## push the managed plugin to a registry: IMAGE=registry.example/ndp6-net
	@[ -n "$(IMAGE)" ] || { echo 'name what to push: make push IMAGE=registry.example/ndp6-net' >&2; exit 1; }
	docker plugin create $(IMAGE) build/plugin
	docker plugin push $(IMAGE) || { docker plugin rm $(IMAGE); exit 1; }
	docker plugin rm $(IMAGE)

.PHONY: deb
deb: ## build/ndp6_VERSION_ARCH.deb, the system service for Debian; GOARCH=arm64 for another machine
	@mkdir -p $(OUT)
	packaging/debian/build.sh $(or $(GOARCH),$(shell $(GO) env GOARCH)) $(VERSION) $(OUT) $(NFPM)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build coverage.out

.PHONY: clean-lab
clean-lab: ## remove the Debian roots of the scenarios, 2 GB in /var/cache/ndp6-lab
	rm -rf "$${NDP6_LAB_CACHE:-/var/cache/ndp6-lab}"

# What the scenarios and the benchmark need of the machine.
.PHONY: lab
lab:
	@scripts/need.sh debootstrap:debootstrap radvd:radvd bird:bird2 frr etcd:etcd-server ndppd:ndppd ip6tables:iptables busybox-static ip:iproute2 nft:nftables perl:perl-base unshare:util-linux
