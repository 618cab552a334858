package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
	"ottla/log/timeline"
	"ottla/protocol"
)

// blank is a machine that does nothing: what is left is the runtime.
type blank struct{}

func (blank) Apply(protocol.Offset, Record) error { return nil }
func (blank) Loaded(time.Time) Effects            { return Effects{} }
func (blank) Deadline() time.Time                 { return time.Time{} }
func (blank) Expire(time.Time) Effects            { return Effects{} }
func (blank) Close(error)                         {}

// commits is a machine that reads Kafka's records of committed offsets into a map, as group/offsets does.
type commits struct {
	blank
	all *timeline.Map[committedKey, committedValue]
}

type committedKey struct {
	group, topic string
	partition    int32
}

type committedValue struct {
	at, offset int64
	epoch      int32
	metadata   string
	ms         int64
}

func (m commits) Apply(at protocol.Offset, r Record) error {
	if binary.BigEndian.Uint16(r.Key) > 1 {
		return nil
	}
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(r.Key); err != nil {
		return err
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(r.Value); err != nil {
		return err
	}
	m.all.Set(committedKey{k.Group, k.Topic, k.Partition}, committedValue{int64(at), v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp})
	return nil
}

// million is a log of 1,000,000 offsets, a hundred to a batch.
var million = sync.OnceValue(func() *partition {
	p, b := &partition{}, batch.NewBuilder()
	for i := range 1_000_000 {
		k := kmsg.OffsetCommitKey{Version: 1, Group: fmt.Sprintf("group-%d", i/100), Topic: "some-topic", Partition: int32(i % 100)}
		v := kmsg.OffsetCommitValue{Version: 3, Offset: int64(i), LeaderEpoch: 1, CommitTimestamp: 1_700_000_000_000}
		b.Add(0, k.AppendTo(nil), v.AppendTo(nil))
		if b.Count() == 100 {
			p.add(b.Build(nil), 0)
			b.Reset()
		}
	}
	p.commit(p.end)
	return p
})

// contiguous serves a log's bytes without looking for them.
type contiguous struct {
	term
	all   []byte
	index map[protocol.Offset]int
}

func (c *contiguous) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	at := c.index[from]
	end := at
	for o := from; o < c.end && (end == at || end-at < cap(buf)-20_000); {
		o = nextOffset(c.all[end:])
		if end = len(c.all); o < c.end {
			end = c.index[o]
		}
	}
	return append(buf[:0], c.all[at:end]...), nil
}

func newContiguous(p *partition) *contiguous {
	c := &contiguous{term: term{p, 0}, index: make(map[protocol.Offset]int)}
	for _, b := range p.batches {
		c.index[nextOffset(b)-100] = len(c.all)
		c.all = append(c.all, b...)
	}
	return c
}

func benchmarkLoad[M Machine](b *testing.B, machine func(int32, *timeline.Timeline) M) {
	log := newContiguous(million())
	b.SetBytes(int64(len(log.all)))
	b.ReportAllocs()
	for b.Loop() {
		r := New(Options[M]{Topic: topic, Logger: quiet, NewMachine: machine})
		r.Lead(0, 0, log)
		for loaded := false; !loaded; {
			done := make(chan struct{})
			r.ReadAll(func(int32, M, protocol.Offset, time.Time) { loaded = true }, func(error) { close(done) })
			<-done
			if !loaded {
				time.Sleep(time.Millisecond)
			}
		}
		if err := r.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/record")
}

func BenchmarkLoadMillionWithoutMachine(b *testing.B) {
	benchmarkLoad(b, func(int32, *timeline.Timeline) blank { return blank{} })
}

func BenchmarkLoadMillionOffsets(b *testing.B) {
	benchmarkLoad(b, func(_ int32, t *timeline.Timeline) commits {
		return commits{all: timeline.NewMap[committedKey, committedValue](t)}
	})
}

// null is a log that commits at once and keeps nothing.
type null struct{ term }

func (n null) Append(records []byte) (protocol.Offset, error) {
	var h batch.Header
	if err := batch.ParseHeader(records, &h); err != nil {
		return 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	base := n.end
	n.end += protocol.Offset(h.LastOffsetDelta) + 1
	n.high = n.end
	return base, nil
}

// BenchmarkWrite is operations with one record each, many at a time; "alone" waits for each answer.
func BenchmarkWrite(b *testing.B) {
	for name, inFlight := range map[string]int{"alone": 1, "256 in flight": 256} {
		b.Run(name, func(b *testing.B) {
			r := New(Options[blank]{Topic: topic, Logger: quiet, NewMachine: func(int32, *timeline.Timeline) blank { return blank{} }})
			r.Lead(0, 0, null{term{&partition{}, 0}})
			tokens := make(chan struct{}, inFlight)
			effects := Effects{
				Records:   []Record{{make([]byte, 30), make([]byte, 40)}},
				Committed: func() { <-tokens },
				Failed:    func(err error) { b.Error(err) },
			}
			decide := func(blank, time.Time) Effects { return effects }
			ready := false
			for !ready {
				done := make(chan struct{})
				r.ReadAll(func(int32, blank, protocol.Offset, time.Time) { ready = true }, func(error) { close(done) })
				<-done
			}
			b.ReportAllocs()
			for b.Loop() {
				tokens <- struct{}{}
				r.Write(0, decide, func(err error) { b.Error(err) })
			}
			for range inFlight {
				tokens <- struct{}{}
			}
			if err := r.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
