package fastpath

// The object is the same on every machine that has this compiler: -g is there
// for the types of maps alone, and names of files are relative.
//
//go:generate go tool -modfile=../../scripts/tools/go.mod bpf2go -cc clang-14 -no-global-types -target bpfel,bpfeb -cflags "-O2 -g -Wall -Wextra -Werror" program bpf/fastpath.c
