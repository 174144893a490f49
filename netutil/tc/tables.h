/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* Tables that programs have alike; pools.go and counts.go fill and read them. Who includes this has enum count, whose last is COUNTS. */
#ifndef NDP6_TABLES_H
#define NDP6_TABLES_H

#include "packet.h"

/* Prefixes of networks that are on this host. */
struct {
	is(type, BPF_MAP_TYPE_LPM_TRIE);
	is(max_entries, 1 << 12);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, struct prefix);
	of(value, u32);
} pools SEC(".maps");

struct {
	is(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	is(max_entries, COUNTS);
	of(key, u32);
	of(value, u64);
} counts SEC(".maps");

/* Whether a is of a pool of ours. */
static inline int ours(const struct addr *a)
{
	struct prefix key = {.bits = 128};
	copy(key.addr, a, sizeof(*a));
	return bpf_map_lookup_elem(&pools, &key) != 0;
}

static inline void count(u32 what)
{
	u64 *n = bpf_map_lookup_elem(&counts, &what);
	if (n)
		*n += 1;
}

#endif
