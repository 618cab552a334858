//go:build faults

package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ottla/log/batch"
	"ottla/protocol"
)

func tailCases() []fault {
	return []fault{
		{id: "C11", name: "the last batch torn at every byte", run: tornTail},
		{id: "C12", name: "zeros and garbage behind the last batch", run: garbageTail},
		{id: "C15", name: "a bit flipped in every byte of a batch that nobody was told of", run: flippedTail},
		{id: "C16", name: "a bit flipped in every byte of a header, in the tail and in an old batch", run: flippedHeaders},
	}
}

// fate is what must become of bytes behind the end of a log.
type fate int

const (
	goes fate = iota
	stays
	either // sound, as far as anybody can tell
)

// tails makes a shelf, kills the node, lets damage put something behind each partition's end, and goes through two crashes: what was acknowledged before and after the damage must be
// there, and nothing else. fate tells whether what was put there must go, must stay or may do either.
func tails(r *rig, partitions int32, damage func(p int32, following []byte) (tail []byte, f fate)) {
	n := r.started(filepath.Join(r.dir, r.name("data")))
	s := n.shelf(partitions, 3)
	n.kill()
	fates := make([]fate, partitions)
	for p := range partitions {
		file, following := s.stored(p)
		tail, f := damage(p, following)
		s.write(p, append(file, tail...))
		fates[p] = f
	}
	n.mustStart()
	for p, f := range fates {
		end, err := n.end(s.topic, int32(p))
		r.must(err, "end of partition %d", p)
		if f == stays || f == either && end > int64(s.next[p]) {
			s.next[p] += perBatch
		}
	}
	s.checkAll("after the damage")
	s.putAll("after the damage")
	n.kill()
	n.mustStart()
	s.checkAll("after another crash")
	s.putAll("after another crash")
	n.stop()
	n.verify()
	n.mustStart()
	s.checkAll("after a clean stop")
	r.outcome.Counts.Acked += int(partitions) * perBatch * 5
	n.stop()
}

// tornLength is the bytes of a shelf's batch. Each partition loses another number of them.
func tornLength(r *rig) int32 {
	s := &shelf{topic: "any", next: []uint64{0}, run: r.rnd.Uint64()}
	return int32(len(s.batch(0)))
}

func tornTail(r *rig) {
	tails(r, tornLength(r)+1, func(p int32, following []byte) ([]byte, fate) {
		if int(p) == len(following) {
			return following, stays
		}
		return following[:p], goes
	})
}

func garbageTail(r *rig) {
	sizes := []int{1, 8, 11, 12, 13, 16, 17, 60, 61, 62, 200, 4096, 1 << 20}
	tails(r, int32(3*len(sizes)), func(p int32, following []byte) ([]byte, fate) {
		junk := make([]byte, sizes[p%int32(len(sizes))])
		switch p / int32(len(sizes)) {
		case 1: // noise
			for i := range junk {
				junk[i] = byte(r.rnd.Uint32())
			}
		case 2: // a sound batch, but behind zeros: nothing after the first bad byte counts
			junk = append(junk, following...)
		}
		return junk, goes
	})
}

func flippedTail(r *rig) {
	tails(r, tornLength(r)-batch.HeaderSize, func(p int32, following []byte) ([]byte, fate) {
		following[batch.HeaderSize+int(p)] ^= 1 << r.rnd.IntN(8)
		return following, goes
	})
}

// flippedHeaders sweeps over the header twice: in a batch behind the end, which recovery has to cut away; and in an old batch, which it may not cut away, and nobody may be served
// as if it were sound.
func flippedHeaders(r *rig) {
	tails(r, 2*batch.HeaderSize, func(p int32, following []byte) ([]byte, fate) {
		at := int(p / 2)
		following[at] ^= []byte{0x01, 0x80}[p%2]
		if at >= epochAt && at < epochAt+4 {
			return following, either // outside the CRC, and no smaller than the epoch before, as a rule
		}
		return following, goes
	})
	flippedOld(r, false)
	flippedOld(r, true)
}

// epochAt is where a header has its leader epoch.
const epochAt = 12

// flippedOld damages the middle one of three batches, below everything that was checkpointed: of the segment that is written to, or of a closed one, which the scrub goes through.
func flippedOld(r *rig, closed bool) {
	n := r.started(filepath.Join(r.dir, r.name("data")))
	s := n.shelf(2*batch.HeaderSize+1, 3, "segment.ms", "60000")
	sound := s.parts - 1 // stays as it is
	if closed {
		s.later = 2 * time.Minute
		s.putAll("into the next segment")
		n.set = append(n.set, "ottla.scrub.period.ms=1000")
	}
	n.stop()
	middle := int64(tornLength(r))
	for p := range sound {
		r.flip(s.oldest(p), middle+int64(p/2), []byte{0x01, 0x80}[p%2])
	}
	s.verifyFinds(sound)
	for _, crash := range []bool{false, true, true} {
		n.mustStart()
		before := n.metric("process_resident_memory_bytes")
		if closed && !crash {
			r.must(poll("bad ranges found", func() bool { return n.metric("ottla_log_damaged_ranges_total") >= float64(sound) }), "scrub")
		}
		for p := range sound {
			s.mayNotServe(p, closed)
		}
		if err := s.check(sound, 0); err != nil {
			r.Errorf("the partition without damage: %v", err)
		}
		if grown := n.metric("process_resident_memory_bytes") - before; grown > 256<<20 {
			r.Errorf("resource: %.0f bytes more in memory after reading damaged batches", grown)
		}
		if !n.running() {
			r.Fatalf("the node ended\n%s", n.tail())
		}
		n.down(crash)
	}
	for p := range sound {
		if info, err := os.Stat(s.oldest(p)); err != nil || info.Size() != 3*middle {
			r.Errorf("cut: partition %d had acknowledged records behind the damage, and its file has changed: %v, %v", p, info.Size(), err)
		}
	}
}

// mayNotServe reads a damaged partition from each of its batches on. An error is right, and so are bytes that a client will not accept; a record that passes for another is not. The
// base offset alone lies outside of what a client can check: there only the scrub helps, and until it comes, as with Apache Kafka, nobody notices.
func (s *shelf) mayNotServe(p int32, scrubbed bool) {
	s.node.rig.Helper()
	for from := int64(0); from < int64(s.next[p]); from += perBatch {
		b, err := s.node.fetch(s.topic, p, from)
		if err != nil && !storageError(err) {
			s.node.rig.Errorf("partition %d offset %d: %v", p, from, err)
		}
		if err != nil || len(b) == 0 {
			continue
		}
		if _, err := s.checkBatches(p, from, b); errors.Is(err, errServedWrong) && (scrubbed || p/2 >= 8) {
			s.node.rig.Errorf("served: partition %d, byte %d of the header: %v", p, p/2, err)
		}
	}
}

// verifyFinds has `ottla log verify`, where there is one, name each of the first damaged partitions.
func (s *shelf) verifyFinds(damaged int32) {
	s.node.rig.Helper()
	found, known, err := s.node.verification()
	if !known {
		return
	}
	if err == nil {
		s.node.rig.Error("ottla log verify has nothing against damaged batches")
	}
	var missed []int32
	for p := range damaged {
		name := protocol.TopicPartition{Topic: s.topic, Partition: p}.String()
		if !strings.Contains(found, name+"/") && !strings.Contains(found, name+" ") && !strings.Contains(found, name+":") {
			missed = append(missed, p/2)
		}
	}
	if len(missed) > 0 {
		s.node.rig.Errorf("ottla log verify does not name the partitions where these bytes of a header are wrong: %v", missed)
	}
}
