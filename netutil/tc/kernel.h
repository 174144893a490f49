/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/*
 * What the programs use of the kernel's interface (linux/bpf.h). It is written
 * out, so that the object does not depend on the headers of a machine.
 */
#ifndef NDP6_KERNEL_H
#define NDP6_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define inline inline __attribute__((always_inline))
#define copy __builtin_memcpy
/*
 * Shows the verifier that a number is below 256, where the program knows it is.
 * The compiler leaves such checks out, or makes them on a copy, and before 5.10
 * the verifier forgets them on the way over the stack.
 */
#define masked(x) asm volatile("%0 &= 0xff" : "+r"(x))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define net16(x) ((u16)__builtin_bswap16(x))
#define net32(x) ((u32)__builtin_bswap32(x))
#else
#define net16(x) ((u16)(x))
#define net32(x) ((u32)(x))
#endif

/* How the loader learns of maps: the members' types are the values. */
#define is(name, value) int(*name)[value]
#define of(name, t) t *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_F_NO_PREALLOC = 1,

	BPF_F_RECOMPUTE_CSUM = 1,

	BPF_FIB_LKUP_RET_NOT_FWDED = 4,
	BPF_FIB_LKUP_RET_FWD_DISABLED = 5,
	BPF_FIB_LKUP_RET_NO_NEIGH = 7,

	BPF_MTU_CHK_SEGS = 1,

	PACKET_HOST = 0,
	PACKET_OTHERHOST = 3,
	AF_INET6 = 10,
	ETH_P_IPV6 = 0x86dd,
};

/* TC_ACT_UNSPEC goes on with the next filter, as if this one were not there. */
enum { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 };

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid;
	u32 data, data_end, napi_id, family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
	u64 flow_keys, tstamp;
	u32 wire_len, gso_segs;
	u64 sk;
	u32 gso_size;
};

struct bpf_fib_lookup {
	u8 family, l4_protocol;
	u16 sport, dport, tot_len;
	u32 ifindex, flowinfo;
	u64 src[2], dst[2];
	u16 vlan_proto, vlan_tci;
	u8 smac[6], dmac[6];
};

struct bpf_redir_neigh {
	u32 family;
	u64 next_hop[2] __attribute__((packed, aligned(4)));
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_store_bytes)(struct __sk_buff *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *skb, u32 offset, void *to, u32 len) = (void *)26;
static s64 (*bpf_csum_diff)(const void *from, u32 from_size, const void *to, u32 to_size, u32 seed) = (void *)28;
static long (*bpf_skb_change_tail)(struct __sk_buff *skb, u32 len, u64 flags) = (void *)38;
static long (*bpf_fib_lookup)(void *ctx, struct bpf_fib_lookup *params, int plen, u32 flags) = (void *)69;
static long (*bpf_redirect_neigh)(u32 ifindex, struct bpf_redir_neigh *params, int plen, u64 flags) = (void *)152;
static long (*bpf_check_mtu)(void *ctx, u32 ifindex, u32 *mtu, int diff, u64 flags) = (void *)163;

#endif
