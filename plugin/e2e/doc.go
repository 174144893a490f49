// Package e2e holds the end-to-end scenarios: real Docker engines of several
// versions, each on a host of a private lab, use ndp6 as an operator would.
//
//	make test-e2e                                  # all versions, as root
//	NDP6_E2E_VERSIONS=28.5 make test-e2e           # one of them
//	go test ./plugin/e2e -run 'Docker/28.5/dual'   # with NDP6_E2E=1 NDP6_BINARY=bin/ndp6
//	NDP6_E2E_RESPONDER=bpf make test-e2e           # one way to answer on all: bpf, kernel or auto
//
// A scenario is one function in a file named for its concern. After each one
// its containers and networks are removed, and the host's links, addresses,
// routes, neighbors, packet rules and sysctls must be what they were before.
package e2e
