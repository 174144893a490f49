/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* Headers of packets, and what programs do with them alike. */
#ifndef NDP6_PACKET_H
#define NDP6_PACKET_H

#include "kernel.h"

enum {
	ETH_SIZE = 14,
	IP_SIZE = 40,
};

struct addr {
	union {
		u8 b[16];
		u16 h[8];
		u32 w[4];
		u64 d[2];
	};
};

struct eth {
	u8 dst[6], src[6];
	u16 type;
};

/* A key of a trie. Without a gap: the trie takes every byte after bits for the address. */
struct prefix {
	u32 bits, addr[4];
};

static inline int same_mac(const u8 *a, const u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

#endif
