package runtime

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// raw is a log that says of its bytes what it likes.
type raw []byte

func (r raw) Append([]byte) (protocol.Offset, error)       { return 0, nil }
func (r raw) Read(protocol.Offset, []byte) ([]byte, error) { return r, nil }
func (r raw) Offsets() (log.Offsets, error)                { return log.Offsets{LogEnd: 8}, nil }
func (r raw) Await(protocol.Offset, func())                {}

// FuzzLoad: whatever the bytes are, a load ends, and what it hands over stands at the log's end.
func FuzzLoad(f *testing.F) {
	b := batch.NewBuilder()
	plain := build(b, "a=1", "b=2", "c", "d=", "e=5", "f=6", "g=7", "h=8")
	f.Add(plain)
	b.BaseOffset = 4
	f.Add(append(plain[:len(plain):len(plain)], build(b, "i=9")...))
	marker := batch.NewBuilder()
	marker.Transactional, marker.Control, marker.ProducerID, marker.ProducerEpoch = true, true, 7, 0
	marker.AddMarker(0, batch.Marker{Type: batch.MarkerCommit})
	f.Add(marker.Build(nil))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		bytes = slices.Clone(bytes)
		fix(bytes)
		s := newShard(&Runtime[*toy]{Options: Options[*toy]{Topic: topic, NewMachine: newToy}}, 0)
		s.current = &leadership{log: raw(bytes)}
		p := replay[*toy]{load: load[*toy]{s, s.current}, held: make(transactions)}
		v, err := p.run(make([]byte, 0, 64))
		if err != nil {
			return
		}
		if v.next < 8 || v.timeline.Committed() != int64(v.next) {
			t.Fatalf("loaded up to %d, readable as of %d", v.next, v.timeline.Committed())
		}
	})
}

// fix makes the checksums right, so that what is behind them is reached.
func fix(b []byte) {
	var h batch.Header
	for len(b) >= batch.HeaderSize && batch.ParseHeader(b, &h) == nil && h.Size() <= len(b) {
		whole := b[:h.Size()]
		binary.BigEndian.PutUint32(whole[17:], crc32.Checksum(whole[21:], crc32.MakeTable(crc32.Castagnoli)))
		b = b[h.Size():]
	}
}
