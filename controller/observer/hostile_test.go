package observer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ottla/controller"
	"ottla/controller/raftlog"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/config"
)

// fetched is the bytes that a member serves from an offset on.
func fetched(t *testing.T, m *member, from protocol.Offset) []byte {
	t.Helper()
	var out log.ReadResult
	if err := m.ReadCommitted(from, 1<<20, &out); err != nil {
		t.Fatal(err)
	}
	defer out.Range.Source.Release()
	b := make([]byte, out.Range.Size)
	if _, err := out.Range.Source.ReadAt(b, out.Range.Position); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDamagedEntries: whatever byte is not what it was, entries are refused or mean what they meant.
func TestDamagedEntries(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{})
		m.register()
		m.create("a-topic")
		m.delete("a-topic")
		entries, high := fetched(t, m, 0), m.Image().Offset()+1
		apply := func(b []byte) (*Observer, error) {
			o := New(Options{})
			return o, o.applyAll(b, high)
		}
		if o, err := apply(entries); err != nil || !bytes.Equal(contents(o.state), contents(m.Image())) {
			t.Fatalf("the entries themselves: %v", err)
		}
		for i := range entries {
			for _, flip := range []byte{1, 0x80, 0xff} {
				bad := bytes.Clone(entries)
				bad[i] ^= flip
				if o, err := apply(bad); err == nil && !bytes.Equal(contents(o.state), contents(m.Image())) {
					t.Errorf("byte %d changed by %x makes another image", i, flip)
				}
			}
			if o, err := apply(entries[:i]); err == nil && o.nextOffset() >= high {
				t.Errorf("%d bytes make all entries", i)
			}
		}
		if _, err := apply(append(bytes.Clone(entries), entries...)); !errors.Is(err, raftlog.ErrDamaged) {
			t.Errorf("entries twice: %v", err)
		}
		if o := New(Options{}); o.applyAll(entries, high-1) == nil {
			t.Error("an entry was taken from beyond the high watermark")
		}
	})
}

// TestDamagedSnapshot: one that is not what was written, to its last byte, is no state.
func TestDamagedSnapshot(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{SnapshotEntries: 5})
		m.register()
		for i := range 5 {
			m.create("topic-%d", i)
		}
		end, term := m.awaitSnapshot()
		data, _, err := m.ReadSnapshot(end, term, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		id := raftlog.SnapshotID{End: end, Term: term}
		whole, err := decode(data, id)
		if err != nil || whole.Offset() != end-1 {
			t.Fatalf("%v", err)
		}
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 0x10
			if got, err := decode(bad, id); err == nil && !bytes.Equal(contents(got), contents(whole)) {
				t.Errorf("byte %d changed makes another image", i)
			}
			if _, err := decode(data[:i], id); !errors.Is(err, raftlog.ErrDamaged) {
				t.Errorf("%d bytes: %v", i, err)
			}
		}
		for name, other := range map[string]raftlog.SnapshotID{"another end": {End: end + 1, Term: term}, "another term": {End: end, Term: term + 1}} {
			if _, err := decode(data, other); !errors.Is(err, raftlog.ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := decode(append(data, 0), id); !errors.Is(err, raftlog.ErrDamaged) {
			t.Errorf("a byte more: %v", err)
		}
	})
}

// batchOf makes a batch of one entry as raftlog has it: kind 1002 is metadata.
func batchOf(at protocol.Offset, term uint64, data []byte) []byte {
	b := batch.NewBuilder()
	b.Reset()
	b.BaseOffset, b.LeaderEpoch = at, protocol.LeaderEpoch(term)
	b.Add(protocol.NoTimestamp, []byte{0, 0, 1002 >> 8, 1002 & 0xff}, data)
	return b.Build(nil)
}

// proposed is an entry's data as quorum has it.
func proposed(version byte, term, id uint64, records []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{version}, term)
	return append(binary.BigEndian.AppendUint64(b, id), records...)
}

// TestEntriesThatDoNotCount: decided for another place, they change nothing; in their place but stored in another term, they are believed when they come again.
func TestEntriesThatDoNotCount(t *testing.T) {
	topic := record.Encode([]*record.Record{record.Of(&record.Topic{Name: "x", Id: bytes.Repeat([]byte{7}, 16)})})
	o := New(Options{})
	if err := o.applyAll(batchOf(0, 3, proposed(1, 3, 99, topic)), 10); err != nil || o.state.TopicCount() != 0 || o.nextOffset() != 1 {
		t.Errorf("decided for another place: %v, %d topics", err, o.state.TopicCount())
	}
	other := batchOf(1, 3, proposed(1, 2, 1, topic))
	if err := o.applyAll(other, 10); !errors.Is(err, raftlog.ErrDamaged) || o.nextOffset() != 1 {
		t.Errorf("stored in another term: %v", err)
	}
	if err := o.applyAll(other, 10); err != nil || o.state.TopicCount() != 0 || o.nextOffset() != 2 {
		t.Errorf("and again: %v, %d topics", err, o.state.TopicCount())
	}
	if err := o.applyAll(batchOf(2, 3, proposed(1, 3, 2, topic)), 10); err != nil || o.state.TopicCount() != 1 {
		t.Errorf("decided for its place: %v, %d topics", err, o.state.TopicCount())
	}
	// A topic that is there is created by nobody.
	if err := o.applyAll(batchOf(3, 3, proposed(1, 3, 3, topic)), 10); !errors.Is(err, errPanicked) || o.state.TopicCount() != 1 || o.nextOffset() != 3 {
		t.Errorf("records that do not fit: %v", err)
	}
}

// newerMetadata serves what no build of today reads.
type newerMetadata struct {
	*slowMetadata
	file *log.Log
}

func (n *newerMetadata) ReadCommitted(from protocol.Offset, maxBytes int, out *log.ReadResult) error {
	out.Offsets = log.Offsets{HighWatermark: 1}
	return n.file.Read(0, 1, maxBytes, true, &out.Range)
}

// TestEntriesOfALaterBuild end the observer: no other member would have anything else.
func TestEntriesOfALaterBuild(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{})
		m.register()
		l, err := m.store.Open(protocol.TopicPartition{Topic: "later"}, protocol.NewID(), log.DefaultConfig(), log.NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		var info log.AppendInfo
		if err := l.Append(batchOf(0, 1, proposed(2, 1, 0, nil)), log.AppendOptions{Origin: log.Replica}, &info); err != nil {
			t.Fatal(err)
		}
		m.serve(&newerMetadata{slowed(m, 1), l})
		w := r.observe(Options{}, m)
		defer w.stop()
		r.until("it ends", func() bool { return w.ended.Load() })
		if err := w.stop(); !errors.Is(err, record.ErrNewer) {
			t.Errorf("%v", err)
		}
	})
}

// noise is a connection that turns to noise after so many bytes.
type noise struct {
	net.Conn
	dice *rand.Rand
	left int
}

func (n *noise) Read(p []byte) (int, error) {
	got, err := n.Conn.Read(p)
	for i := range p[:got] {
		if n.left--; n.left < 0 {
			p[i] = byte(n.dice.Uint32())
		}
	}
	return got, err
}

// TestNoise: a member whose answers turn to noise is left, and nothing of the noise is ever shown.
func TestNoise(t *testing.T) {
	for seed := range uint64(20) {
		inRig(t, func(t *testing.T, r *rig) {
			m := r.start(controller.Options{SnapshotEntries: 30})
			m.register()
			for i := range 40 {
				m.create("topic-%d", i)
			}
			dice := rand.New(rand.NewPCG(seed, 0))
			var mu sync.Mutex
			dials := 0
			dial := r.network.Host(host(observerID))
			w := r.observe(Options{Connection: client.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				mu.Lock()
				defer mu.Unlock()
				if dials++; err == nil && dials <= 6 {
					c = &noise{c, rand.New(rand.NewPCG(seed, uint64(dials))), 300 + dice.IntN(6000)}
				}
				return c, err
			}}}, m)
			defer w.end()
			for i := range 20 {
				m.create("more-%d", i)
				time.Sleep(time.Second)
			}
			w.equals(m)
			mu.Lock()
			defer mu.Unlock()
			if dials < 2 {
				t.Errorf("no connection turned to noise")
			}
		})
	}
}

// TestSnapshotThatIsTooLarge is not taken, and not allocated.
func TestSnapshotThatIsTooLarge(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{SnapshotEntries: 5})
		m.register()
		for i := range 5 {
			m.create("topic-%s", strings.Repeat("x", 100+i))
		}
		m.awaitSnapshot()
		w := r.observe(Options{MaxSnapshot: 200}, m)
		defer w.end()
		time.Sleep(time.Minute)
		if w.told() != 0 || w.Image().Offset() != -1 {
			t.Error("it was taken")
		}
	})
}

// TestTheLargestEntry: an entry may be as large as a list of records, and still fits an answer.
func TestTheLargestEntry(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		const around = 140 // of other records that a cluster is founded with
		value := strings.Repeat("v", record.MaxSize-around)
		m := r.start(controller.Options{Founding: []*record.Record{record.Of(&record.Config{ResourceType: int32(config.Broker), Name: "large", Value: &value})}})
		r.until("the cluster is founded", func() bool { return m.Image().ClusterID() != "" })
		if size := len(contents(m.Image())); size < record.MaxSize-100 {
			t.Fatalf("the records of the founding take %d bytes", size)
		}
		w := r.observe(Options{}, m)
		defer w.end()
		w.equals(m)
	})
}
