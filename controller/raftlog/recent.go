package raftlog

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// maxRecentSize is how many bytes of entries stay in memory: what the driver applies next and what followers ask for are nearly always among them.
const maxRecentSize = 1 << 20

// recent is the newest entries, without gaps up to the last one.
type recent struct {
	entries []*pb.Entry
	size    int
}

func (r *recent) add(e *pb.Entry) {
	r.entries = append(r.entries, e)
	r.size += proto.Size(e)
	drop := 0
	for ; r.size > maxRecentSize && drop < len(r.entries)-1; drop++ {
		r.size -= proto.Size(r.entries[drop])
	}
	r.dropFront(drop)
}

func (r *recent) dropFront(n int) {
	clear(r.entries[:n])
	r.entries = r.entries[n:]
}

// cut forgets index and what follows.
func (r *recent) cut(index uint64) {
	n := len(r.entries)
	for ; n > 0 && r.entries[n-1].GetIndex() >= index; n-- {
		r.size -= proto.Size(r.entries[n-1])
	}
	clear(r.entries[n:])
	r.entries = r.entries[:n]
}

// compact forgets index and what precedes it.
func (r *recent) compact(index uint64) {
	n := 0
	for ; n < len(r.entries) && r.entries[n].GetIndex() <= index; n++ {
		r.size -= proto.Size(r.entries[n])
	}
	r.dropFront(n)
}

// from is the entries from index lo to before hi; nil if lo is not among them.
func (r *recent) from(lo, hi uint64) []*pb.Entry {
	if len(r.entries) == 0 || lo < r.entries[0].GetIndex() {
		return nil
	}
	first := r.entries[0].GetIndex()
	return r.entries[lo-first : hi-first]
}
