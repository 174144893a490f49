package tc

import "github.com/cilium/ebpf"

// Count reads one number of a program's table of counts.
func Count(counts *ebpf.Map, what int) (sum uint64, err error) {
	var each []uint64 // by CPU
	if err := counts.Lookup(uint32(what), &each); err != nil {
		return 0, err
	}
	for _, n := range each {
		sum += n
	}
	return sum, nil
}
