// SPDX-License-Identifier: MIT OR GPL-2.0-only

/*
 * Forwards what a container's published ports receive and send, in front of the
 * kernel's own forwarding: entering at the ingress of uplinks, leaving at that
 * of containers' ports. Neither keeps state: a published port is open to all, and
 * nothing is translated. Whatever else there is goes on to the kernel, whose
 * rules decide about it.
 *
 * It needs Linux 5.12, and CAP_BPF and CAP_NET_ADMIN only.
 */
#include "../../tc/packet.h"

enum {
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,

	UDP_SIZE = 8,
	HOP_LIMIT_OFFSET = ETH_SIZE + 7,
	TCP_OFFSET_OFFSET = ETH_SIZE + IP_SIZE + 12,
};

/* What is counted, in the order in which counts.go reads it. */
enum count { ENTERED, LEFT, COUNTS };

#include "../../tc/tables.h"

/* A packet's headers, with their fields where the stack's alignment wants them. */
struct packet {
	u16 pad;
	struct eth eth;
	u32 version;
	u16 length;
	u8 next, hop_limit;
	struct addr src, dst;
	u16 sport, dport;
};
#define HEADERS (ETH_SIZE + IP_SIZE + 4)

/* Where an address is. */
struct endpoint {
	u32 port;   /* index of the host side of the container's link */
	u32 bridge; /* index of the bridge that it is a port of */
	u8 mac[6], gateway[6];
};

/* A published port of an address. */
struct published {
	struct addr addr;
	u16 port; /* in network order */
	u8 proto, pad[5];
};

struct {
	is(type, BPF_MAP_TYPE_HASH);
	is(max_entries, 1 << 17);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, struct addr);
	of(value, struct endpoint);
} endpoints SEC(".maps");

struct {
	is(type, BPF_MAP_TYPE_HASH);
	is(max_entries, 1 << 18);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, struct published);
	of(value, u32);
} ports SEC(".maps");

/* The links that packets may leave by. */
struct {
	is(type, BPF_MAP_TYPE_HASH);
	is(max_entries, 1 << 10);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, u32);
	of(value, u32);
} uplinks SEC(".maps");

/* Whether packets of a's scope are forwarded: global (RFC 4291 2.5.4) or unique local (RFC 4193). */
static inline int forwardable(const struct addr *a)
{
	return (a->b[0] & 0xe0) == 0x20 || (a->b[0] & 0xfe) == 0xfc;
}

/* Whether a port of an address is open to all. */
static inline int open(const struct addr *a, u8 proto, u16 port)
{
	struct published key = {.addr = *a, .port = port, .proto = proto};
	return bpf_map_lookup_elem(&ports, &key) != 0;
}

/* Reads the headers of a packet that may be forwarded here: TCP or UDP without options, extension headers or fragments in front. */
static inline int read(struct __sk_buff *skb, struct packet *p)
{
	if (bpf_skb_load_bytes(skb, 0, &p->eth, HEADERS))
		return 0;
	return p->eth.type == net16(ETH_P_IPV6) && (net32(p->version) >> 28) == 6 && !skb->vlan_present &&
	       (p->next == IPPROTO_TCP || p->next == IPPROTO_UDP) && p->hop_limit > 1;
}

/* Takes one from the hop limit (RFC 8200 3), once nothing keeps the packet from being sent. */
static inline int hop(struct __sk_buff *skb, const struct packet *p)
{
	u8 left = p->hop_limit - 1;
	return bpf_skb_store_bytes(skb, HOP_LIMIT_OFFSET, &left, 1, BPF_F_RECOMPUTE_CSUM);
}

SEC("tc")
int entering(struct __sk_buff *skb)
{
	struct packet p;
	if (!read(skb, &p) || skb->pkt_type != PACKET_HOST)
		return TC_ACT_UNSPEC;
	struct endpoint *e = bpf_map_lookup_elem(&endpoints, &p.dst);
	if (!e || !open(&p.dst, p.next, p.dport) || !forwardable(&p.src) || ours(&p.src))
		return TC_ACT_UNSPEC;
	/* The kernel says "packet too big" (RFC 4443 3.2). */
	u32 mtu = 0;
	if (bpf_check_mtu(skb, e->port, &mtu, 0, BPF_MTU_CHK_SEGS))
		return TC_ACT_UNSPEC;
	struct eth eth;
	copy(eth.dst, e->mac, 6);
	copy(eth.src, e->gateway, 6);
	if (hop(skb, &p) || bpf_skb_store_bytes(skb, 0, &eth, 12, 0))
		return TC_ACT_SHOT;
	count(ENTERED);
	return bpf_redirect(e->port, 0);
}

/* The size of a packet as it is sent, from the IPv6 header on: each segment's, where segments are made later. */
static inline u32 size(struct __sk_buff *skb, const struct packet *p)
{
	if (!skb->gso_size)
		return skb->len - ETH_SIZE;
	u32 transport = UDP_SIZE;
	u8 offset;
	if (p->next == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, TCP_OFFSET_OFFSET, &offset, 1))
			return ~0U;
		transport = (offset >> 4) * 4;
	}
	return IP_SIZE + transport + skb->gso_size;
}

SEC("tc")
int leaving(struct __sk_buff *skb)
{
	struct packet p;
	if (!read(skb, &p))
		return TC_ACT_UNSPEC;
	struct endpoint *e = bpf_map_lookup_elem(&endpoints, &p.src);
	/* Who pretends to be another is the guard's. */
	if (!e || e->port != skb->ifindex || !same_mac(p.eth.src, e->mac) || !same_mac(p.eth.dst, e->gateway))
		return TC_ACT_UNSPEC;
	if (!open(&p.src, p.next, p.sport) || !forwardable(&p.dst) || ours(&p.dst))
		return TC_ACT_UNSPEC;
	struct bpf_fib_lookup f = {};
	u32 bytes = size(skb, &p);
	if (bytes > 0xffff)
		return TC_ACT_UNSPEC;
	f.family = AF_INET6;
	f.l4_protocol = p.next;
	f.sport = p.sport;
	f.dport = p.dport;
	f.tot_len = bytes;
	f.ifindex = e->bridge;
	copy(f.src, &p.src, 16);
	copy(f.dst, &p.dst, 16);
	/* Without a route, or room in the path's MTU, the kernel knows what to do. A neighbor is looked for below. */
	long found = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	if (found && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return TC_ACT_UNSPEC;
	u32 uplink = f.ifindex;
	if (!bpf_map_lookup_elem(&uplinks, &uplink))
		return TC_ACT_UNSPEC;
	/* Not to the MAC that was found: the kernel's way keeps the entry of the neighbor in use, and so probed (RFC 4861 7.3). */
	struct bpf_redir_neigh next = {.family = AF_INET6};
	copy(next.next_hop, f.dst, 16);
	if (hop(skb, &p))
		return TC_ACT_SHOT;
	count(LEFT);
	return bpf_redirect_neigh(uplink, &next, sizeof(next), 0);
}

/* Dual licensed, because the kernel lends bpf_fib_lookup and bpf_check_mtu to none else. */
char terms[] SEC("license") = "Dual MIT/GPL";
