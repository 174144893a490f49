package e2e_test

// legacy runs on a host whose tools and whose Docker use the kernel's old tables.
func legacy(b *bed) {
	prepare := func(b *bed) {
		b.run("update-alternatives --set iptables /usr/sbin/iptables-legacy; update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy")
	}
	b.elsewhere(legacyHost, prepare, func(b *bed) {
		b.dropForward()
		p := b.besideDocker()
		for _, e := range []foreignEvent{
			{"ip6tables-legacy -F FORWARD", func() { b.run("ip6tables-legacy -F FORWARD") }},
			{"iptables-legacy -F FORWARD", func() { b.run("iptables-legacy -F FORWARD") }},
			{"restored without ours", func() {
				b.run("ip6tables-legacy-save | grep -v ndp6 | grep -v " + carried + " | ip6tables-legacy-restore")
			}},
			{"rule appended", func() { b.run("ip6tables-legacy -A FORWARD -s 2001:db8:ffff::/48 -j DROP") }},
			{"nft flush ruleset", func() { b.run("nft flush ruleset") }},
			{"dockerd restarted", func() {
				b.ok(b.host.StopEngine(b.ctx(), "KILL"))
				b.startEngine(b.flags...)
			}},
		} {
			b.endures(p, e)
		}
		b.run("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP")
		p.wantSoon("in the end", besideDocker)
	})
}
