// SPDX-License-Identifier: MIT OR GPL-2.0-only

/*
 * Answers neighbor solicitations at the ingress of a link (RFC 4861 7.2.8).
 *
 * It loads on Linux 5.4: loops are unrolled, there is no CO-RE, and nothing
 * that came later. It needs CAP_BPF and CAP_NET_ADMIN only. Without CAP_PERFMON
 * old kernels compare no pointers, not even with the end of the packet, so it
 * copies what it reads.
 */
#include "../../tc/packet.h"

enum {
	IPPROTO_ICMPV6 = 58,
	SOLICITATION = 135,
	ADVERTISEMENT = 136,
	SOURCE_LINK_LAYER = 1,
	TARGET_LINK_LAYER = 2,

	NS_SIZE = 24,
	/* Options come in units of eight bytes. */
	UNIT = 8,
	/* Solicitations with more, as signed ones have, are the kernel's. */
	MAX_UNITS = 16,
	MAX_SIZE = NS_SIZE + MAX_UNITS * UNIT,

	/* Unknown addresses that one source may ask for, in a second and at once. */
	RATE = 1000,
	BURST = 1000,
};

#define SECOND 1000000000ULL
#define SOLICITED net32(0x40000000)

/* What is counted, in the order in which counts.go names it. */
enum count {
	ANSWER_MULTICAST,
	ANSWER_UNICAST,
	ANSWER_PROBE,
	DROP_UNASSIGNED,
	DROP_LIMITED,
	DROP_HOP_LIMIT,
	DROP_CODE,
	DROP_LENGTH,
	DROP_CHECKSUM,
	DROP_OPTION,
	DROP_SOURCE,
	DROP_DESTINATION,
	COUNTS,
};

#include "../../tc/tables.h"

/* A solicitation, with its fields where the stack's alignment wants them. */
struct solicitation {
	u16 pad;
	struct eth eth;
	u32 version;
	u16 length;
	u8 next, hop_limit;
	struct addr src, dst;
	u8 type, code;
	u16 checksum;
	u32 reserved;
	struct addr target;
};

/* An advertisement, with its fields where the stack's alignment wants them. */
struct advertisement {
	u16 pad;
	struct eth eth;
	u32 version;
	u16 length;
	u8 next, hop_limit;
	struct addr src, dst;
	u8 type, code;
	u16 checksum;
	u32 flags;
	struct addr target;
	u8 option, units, mac[6];
};

#define HEADERS (ETH_SIZE + IP_SIZE)
#define NA_SIZE (NS_SIZE + UNIT)

/* A solicitation with its pseudo-header (RFC 8200 8.1). */
struct message {
	struct addr src, dst;
	u32 length, next;
	u8 icmp[NS_SIZE + 256]; /* what masked allows */
	volatile u64 start;
};
#define PSEUDO_SIZE 40

struct answer {
	struct addr source; /* zero: the target's */
	struct addr global; /* for who asks from beyond the link's scope; zero: as others */
	u8 mac[6];
	u16 pad;
};

/* A hash of one, because an update replaces its element whole: no answer mixes an old MAC and a new. */
struct {
	is(type, BPF_MAP_TYPE_HASH);
	is(max_entries, 1);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, u32);
	of(value, struct answer);
} answers SEC(".maps");

struct {
	is(type, BPF_MAP_TYPE_HASH);
	is(max_entries, 1 << 17);
	is(map_flags, BPF_F_NO_PREALLOC);
	of(key, struct addr);
	of(value, u32);
} targets SEC(".maps");

/* When a source that asks for one unknown address each time it may would have come here. */
struct {
	is(type, BPF_MAP_TYPE_LRU_HASH);
	is(max_entries, 1 << 12);
	of(key, struct addr);
	of(value, u64);
} sources SEC(".maps");

/* Room to work in, because the stack takes no variable offset before 5.12. */
struct {
	is(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	is(max_entries, 1);
	of(key, u32);
	of(value, struct message);
} scratch SEC(".maps");

static inline int drop(u32 why)
{
	count(why);
	return TC_ACT_SHOT;
}

static inline u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline int unspecified(const struct addr *a)
{
	return !(a->d[0] | a->d[1]);
}

/* Whether a is a solicited-node address (RFC 4291 2.7.1). */
static inline int group(const struct addr *a)
{
	return a->w[0] == net32(0xff020000) && !a->w[1] && a->w[2] == net32(1) && a->b[12] == 0xff;
}

static inline int link_local(const struct addr *a)
{
	return (a->w[0] & net32(0xffc00000)) == net32(0xfe800000);
}

static inline int same(const struct addr *a, const struct addr *b)
{
	return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}

/* Whether the kernel would forward a packet to target: then it is no address of the host's own. */
static inline int forwarded(struct __sk_buff *skb, const struct addr *target)
{
	struct bpf_fib_lookup f = {};
	f.family = AF_INET6;
	f.l4_protocol = IPPROTO_ICMPV6;
	/* From nobody: nothing is forwarded from a link-local address, as that of the solicitation is. */
	f.ifindex = skb->ifindex;
	copy(f.dst, target, sizeof(*target));
	long result = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	return result >= 0 && result != BPF_FIB_LKUP_RET_NOT_FWDED && result != BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* Whether src has asked for more unknown addresses than it may (GCRA: the generic cell rate algorithm). */
static inline int limited(const struct addr *src)
{
	u64 now = bpf_ktime_get_ns(), next = now;
	u64 *due = bpf_map_lookup_elem(&sources, src);
	if (due && *due > now)
		next = *due;
	if (next - now > (BURST - 1) * (SECOND / RATE))
		return 1;
	next += SECOND / RATE;
	if (due)
		*due = next;
	else
		bpf_map_update_elem(&sources, src, &next, 0);
	return 0;
}

/* What becomes of a solicitation for an address that is no target. */
static inline int unknown(struct __sk_buff *skb, const struct addr *src, const struct addr *target)
{
	/*
	 * Who asks whether an address is taken may be about to take it: before it is
	 * ours, our own probe wants to hear that (RFC 4862 5.4.3).
	 */
	if (!unspecified(src) && ours(target)) {
		/* Where forwarding is off nothing tells the host's own addresses, so all are the kernel's. */
		return forwarded(skb, target) ? drop(DROP_UNASSIGNED) : TC_ACT_UNSPEC;
	}
	/* Who borrows the router's address and floods must not keep it from the host itself. */
	return limited(src) && forwarded(skb, target) ? drop(DROP_LIMITED) : TC_ACT_UNSPEC;
}

/* What option and options make of the options of a message. */
enum { MORE, DONE, WRONG };

/* Reads the option at an offset, and moves on. The first MAC of the source that there is goes to mac. */
static inline int option(const struct message *m, u64 len, u64 *offset, u8 *mac, int *found)
{
	u64 at = *offset;
	if (at >= len)
		return at == len ? DONE : WRONG;
	masked(at);
	const u8 *o = m->icmp + at;
	u64 units = o[1];
	/* RFC 4861 4.6: a length of 0 voids the packet. */
	if (!units)
		return WRONG;
	if (o[0] == SOURCE_LINK_LAYER) {
		/* RFC 2464 6. */
		if (units != 1)
			return WRONG;
		if (!*found)
			copy(mac, o + 2, 6);
		*found = 1;
	}
	*offset = at + units * UNIT;
	return MORE;
}

#define FOUR(x) x x x x

/* Reads all options. Linux before 5.3 takes no loop, and the compiler unrolls none with masked in it. */
static inline int options(struct message *m, u64 len, u8 *mac, int *found)
{
	/*
	 * The verifier must not know where the first option is: without CAP_PERFMON it
	 * refuses to add to one pointer a constant on one path and a variable on another.
	 */
	m->start = NS_SIZE;
	u64 at = m->start;
	int result;
	FOUR(FOUR(if ((result = option(m, len, &at, mac, found)) != MORE) return result;))
	return at == len ? DONE : WRONG;
}

/* Makes the packet the answer, and sends it back. */
static inline int answer(struct __sk_buff *skb, const struct answer *ours, const struct addr *src, const struct addr *target,
			 const u8 *mac, u32 what)
{
	struct advertisement a = {};
	copy(a.eth.src, ours->mac, 6);
	copy(a.mac, ours->mac, 6);
	a.eth.type = net16(ETH_P_IPV6);
	a.version = net32(0x60000000);
	a.length = net16(NA_SIZE);
	a.next = IPPROTO_ICMPV6;
	a.hop_limit = 255;
	if (!unspecified(&ours->global) && what != ANSWER_PROBE && !link_local(src))
		a.src = ours->global;
	else
		a.src = unspecified(&ours->source) ? *target : ours->source;
	a.type = ADVERTISEMENT;
	a.target = *target;
	a.option = TARGET_LINK_LAYER;
	a.units = 1;
	/* RFC 4861 7.2.8: Override stays clear, so that the owner's own answer wins. */
	if (what == ANSWER_PROBE) {
		/* RFC 4861 7.2.4: to all nodes, unsolicited. */
		a.dst.w[0] = net32(0xff020000);
		a.dst.w[3] = net32(1);
		a.eth.dst[0] = 0x33;
		a.eth.dst[1] = 0x33;
		a.eth.dst[5] = 1;
	} else {
		a.dst = *src;
		a.flags = SOLICITED;
		copy(a.eth.dst, mac, 6);
	}
	s64 sum = bpf_csum_diff(0, 0, &a.src, 2 * sizeof(a.src), net32(NA_SIZE));
	sum = (sum & 0xffffffff) + net32(IPPROTO_ICMPV6);
	sum = bpf_csum_diff(0, 0, &a.type, NA_SIZE, fold(sum));
	a.checksum = ~fold(sum);

	if (bpf_skb_change_tail(skb, HEADERS + NA_SIZE, 0))
		return TC_ACT_UNSPEC;
	if (bpf_skb_store_bytes(skb, 0, &a.eth, HEADERS + NA_SIZE, BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_SHOT;
	count(what);
	return bpf_redirect(skb->ifindex, 0);
}

/* What becomes of a solicitation for a target. */
static inline int known(struct __sk_buff *skb, const struct answer *ours, const struct solicitation *s)
{
	/* RFC 4861 7.1.1, in its order. */
	if (s->hop_limit != 255)
		return drop(DROP_HOP_LIMIT);
	if (s->code)
		return drop(DROP_CODE);
	u64 len = net16(s->length);
	if (len < NS_SIZE || len % UNIT)
		return drop(DROP_LENGTH);
	if (len > MAX_SIZE)
		return TC_ACT_UNSPEC;

	u32 zero = 0;
	struct message *m = bpf_map_lookup_elem(&scratch, &zero);
	if (!m)
		return TC_ACT_UNSPEC;
	m->src = s->src;
	m->dst = s->dst;
	m->length = net32(len);
	m->next = net32(IPPROTO_ICMPV6);
	u64 more = len - NS_SIZE;
	masked(more);
	/* Less than the header says: the kernel discards it. */
	if (bpf_skb_load_bytes(skb, HEADERS, m->icmp, NS_SIZE + more))
		return TC_ACT_UNSPEC;
	more = len - NS_SIZE;
	masked(more);
	if (fold(bpf_csum_diff(0, 0, (void *)m, PSEUDO_SIZE + NS_SIZE + more, 0)) != 0xffff)
		return drop(DROP_CHECKSUM);

	u8 mac[6];
	copy(mac, s->eth.src, 6);
	int probe = unspecified(&s->src), found = 0;
	if (s->src.b[0] == 0xff)
		return drop(DROP_SOURCE);
	if (probe && !group(&s->dst))
		return drop(DROP_DESTINATION);
	if (options(m, len, mac, &found) != DONE || (probe && found))
		return drop(DROP_OPTION);

	/* Who sends elsewhere asks somebody else: the kernel knows whether that is the host. */
	int multicast = group(&s->dst) && s->dst.w[3] == (s->target.w[3] | net32(0xff000000));
	if (!multicast && !same(&s->dst, &s->target))
		return TC_ACT_UNSPEC;
	return answer(skb, ours, &s->src, &s->target, mac, probe ? ANSWER_PROBE : multicast ? ANSWER_MULTICAST : ANSWER_UNICAST);
}

SEC("tc")
int ndp6(struct __sk_buff *skb)
{
	/* Nearly all packets end here. */
	u8 next;
	if (bpf_skb_load_bytes(skb, ETH_SIZE + 6, &next, 1) || next != IPPROTO_ICMPV6)
		return TC_ACT_UNSPEC;
	/* RFC 6980: what comes in fragments is none. Other headers in front of it are the kernel's to read. */
	struct solicitation s;
	if (bpf_skb_load_bytes(skb, 0, &s.eth, HEADERS + NS_SIZE))
		return TC_ACT_UNSPEC;
	if (s.type != SOLICITATION || s.eth.type != net16(ETH_P_IPV6) || (net32(s.version) >> 28) != 6)
		return TC_ACT_UNSPEC;
	if (skb->vlan_present || skb->pkt_type == PACKET_OTHERHOST)
		return TC_ACT_UNSPEC;

	u32 zero = 0;
	struct answer *ours = bpf_map_lookup_elem(&answers, &zero);
	/* What a loop on the link brings back asks nobody. */
	if (!ours || same_mac(s.eth.src, ours->mac))
		return TC_ACT_UNSPEC;
	if (!bpf_map_lookup_elem(&targets, &s.target))
		return unknown(skb, &s.src, &s.target);
	return known(skb, ours, &s);
}

/* Dual licensed, because the kernel lends bpf_fib_lookup to none else, and before 5.8 not even its clock. */
char terms[] SEC("license") = "Dual MIT/GPL";
