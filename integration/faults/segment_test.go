//go:build faults

package faults

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/integration/faults/history"
	"ottla/log/batch"
	"ottla/protocol"
)

// shelf is a topic whose partitions hold known records, in known batches, so that their files can be damaged byte by byte, each partition in another way.
type shelf struct {
	node  *node
	topic string
	parts int32
	run   uint64
	next  []uint64      // by partition: the sequence, and offset, of the record to come
	later time.Duration // what is added to the time of a record to come
}

// perBatch is the records of every batch of a shelf.
const perBatch = 2

// shelf makes a topic with so many batches in each partition.
func (n *node) shelf(partitions int32, batches int, configs ...string) *shelf {
	n.rig.Helper()
	s := &shelf{node: n, topic: n.rig.name("shelf"), parts: partitions, run: n.rig.rnd.Uint64(), next: make([]uint64, partitions)}
	n.topic(s.topic, partitions, configs...)
	for p := range partitions {
		for range batches {
			n.rig.must(s.put(p), "partition %d", p)
		}
	}
	return s
}

// batch is the next batch of a partition, as a client sends it.
func (s *shelf) batch(p int32) []byte {
	b := batch.NewBuilder()
	for i := range uint64(perBatch) {
		v := history.Value{Run: s.run, Topic: s.topic, Partition: p, ID: history.ID{Seq: s.next[p] + i}}
		b.Add(time.Now().Add(s.later).UnixMilli(), nil, v.Append(nil, 64))
	}
	return b.Build(nil)
}

// put appends a batch with acks=all; it must get the offset that follows.
func (s *shelf) put(p int32) error {
	base, err := s.node.produce(s.topic, p, s.batch(p))
	if err == nil && base != int64(s.next[p]) {
		err = fmt.Errorf("a batch was appended at offset %d, not %d", base, s.next[p])
	}
	if err == nil {
		s.next[p] += perBatch
	}
	return err
}

// check reads a partition from an offset and demands that it holds what was put there, all of it and nothing else.
func (s *shelf) check(p int32, from int64) error {
	end, err := s.node.end(s.topic, p)
	if err == nil && end != int64(s.next[p]) {
		err = fmt.Errorf("the log ends at offset %d, not %d", end, s.next[p])
	}
	for err == nil && from < end {
		var b []byte
		if b, err = s.node.fetch(s.topic, p, from); err == nil {
			from, err = s.checkBatches(p, from, b)
		}
	}
	return err
}

// checkBatches looks at fetched batches as a client does: CRC, then each record at or past from must be the one that belongs there. It gives the offset that follows.
func (s *shelf) checkBatches(p int32, from int64, b []byte) (next int64, err error) {
	if len(b) == 0 {
		return from, fmt.Errorf("nothing is at offset %d", from)
	}
	for len(b) > 0 {
		var h batch.Header
		if err := batch.ParseHeader(b, &h); err != nil {
			return from, err
		}
		if h.Size() > len(b) {
			return from, nil // the rest comes with the next fetch
		}
		if !batch.CheckCRC(b[:h.Size()]) {
			return from, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, errBadCRC)
		}
		if next, err = s.checkBatch(p, from, b[:h.Size()]); err != nil {
			return from, err
		}
		from, b = next, b[h.Size():]
	}
	return from, nil
}

var errBadCRC = fmt.Errorf("the CRC is wrong")

func (s *shelf) checkBatch(p int32, from int64, b []byte) (next int64, err error) {
	rd, err := batch.NewReader(b, 1<<20)
	if err != nil {
		return from, err
	}
	defer rd.Close()
	var rec batch.Record
	for next = from; ; {
		more, err := rd.Next(&rec)
		if err != nil || !more {
			return next, err
		}
		if int64(rec.Offset) < from {
			continue
		}
		id, err := history.ParseValue(rec.Value, s.run, s.topic, p)
		if err != nil {
			return next, fmt.Errorf("offset %d: %w", rec.Offset, err)
		}
		if int64(rec.Offset) != next || id.Seq != uint64(next) {
			return next, fmt.Errorf("%w: record %d at offset %d was served for offset %d", errServedWrong, id.Seq, rec.Offset, next)
		}
		next++
	}
}

var errServedWrong = fmt.Errorf("a wrong record")

// checkAll demands of every partition that it is whole.
func (s *shelf) checkAll(when string) {
	s.node.rig.Helper()
	bad := 0
	for p := range s.parts {
		if err := s.check(p, 0); err != nil {
			if bad++; bad <= 8 {
				s.node.rig.Errorf("%s: partition %d: %v", when, p, err)
			}
		}
	}
	if bad > 8 {
		s.node.rig.Errorf("%s: %d partitions in all", when, bad)
	}
}

// putAll appends to every partition.
func (s *shelf) putAll(when string) {
	s.node.rig.Helper()
	for p := range s.parts {
		if err := s.put(p); err != nil {
			s.node.rig.Errorf("%s: append to partition %d: %v", when, p, err)
		}
	}
}

// segment is the path of the last segment file of a partition, oldest that of the first.
func (s *shelf) segment(p int32) string {
	s.node.rig.Helper()
	return slices.Max(s.segments(p))
}

func (s *shelf) oldest(p int32) string {
	s.node.rig.Helper()
	return slices.Min(s.segments(p))
}

func (s *shelf) segments(p int32) []string {
	s.node.rig.Helper()
	files := s.node.rig.files(s.node.data, protocol.TopicPartition{Topic: s.topic, Partition: p}.String(), "*.log")
	if len(files) == 0 {
		s.node.rig.Fatalf("partition %d has no segments", p)
	}
	return files
}

// stored is the partition's last segment, and the batch that would follow in it: a copy of the last one at the next offset, as the leader would have written it.
func (s *shelf) stored(p int32) (file, following []byte) {
	s.node.rig.Helper()
	file, err := os.ReadFile(s.segment(p))
	s.node.rig.must(err, "segment")
	at, last := 0, 0
	for at < len(file) {
		last = at
		at += batch.Overhead + int(binary.BigEndian.Uint32(file[at+8:]))
	}
	v := batch.NewBuilder()
	v.BaseOffset, v.LeaderEpoch = protocol.Offset(s.next[p]), protocol.LeaderEpoch(binary.BigEndian.Uint32(file[last+12:]))
	for i := range uint64(perBatch) {
		v.Add(time.Now().UnixMilli(), nil, history.Value{Run: s.run, Topic: s.topic, Partition: p, ID: history.ID{Seq: s.next[p] + i}}.Append(nil, 64))
	}
	return file, v.Build(nil)
}

// write replaces the partition's last segment; the node is down.
func (s *shelf) write(p int32, b []byte) {
	s.node.rig.Helper()
	s.node.rig.must(os.WriteFile(s.segment(p), b, 0o644), "segment")
	s.node.rig.outcome.Faults++
}

// flip changes one bit of a file in place, as a disk does: the node may have it open.
func (r *rig) flip(name string, at int64, bit byte) {
	r.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	r.must(err, "flip")
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	r.must(err, "flip byte %d of %s", at, filepath.Base(name))
	b[0] ^= bit
	_, err = f.WriteAt(b[:], at)
	r.must(err, "flip byte %d of %s", at, filepath.Base(name))
	r.outcome.Faults++
}

// storageError tells whether the broker owns up to damage.
func storageError(err error) bool {
	return err == kerr.KafkaStorageError || err == kerr.CorruptMessage || err == kerr.NotLeaderForPartition || err == kerr.LeaderNotAvailable
}
