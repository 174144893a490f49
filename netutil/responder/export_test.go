package responder

import (
	"time"

	"github.com/cilium/ebpf"
)

// Run has the kernel run the program on a frame that comes in by the link with
// this index, 0 for the responder's. It returns what becomes of the frame.
func (r *Responder) Run(frame []byte, index int) (verdict int32, out []byte, err error) {
	if index == 0 {
		index = r.index
	}
	// struct __sk_buff up to the index of the link.
	context := struct {
		_       [10]uint32
		Ifindex uint32
		_       [37]uint32
	}{Ifindex: uint32(index)}
	o := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: &context}
	result, err := r.kernel.Ndp6.Run(&o)
	return int32(result), o.DataOut, err
}

// Ran is how long the program ran, while statistics are enabled.
func (r *Responder) Ran() (time.Duration, error) {
	s, err := r.kernel.Ndp6.Stats()
	if err != nil {
		return 0, err
	}
	return s.Runtime, nil
}
