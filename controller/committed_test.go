package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// entriesFrom reads what is committed from an offset on.
func entriesFrom(n *node, from protocol.Offset, maxBytes int) (entries []raftlog.Entry, o log.Offsets, err error) {
	var out log.ReadResult
	if err := n.ReadCommitted(from, maxBytes, &out); err != nil || out.Range.Size == 0 {
		return nil, out.Offsets, err
	}
	defer out.Range.Source.Release()
	b := make([]byte, out.Range.Size)
	if _, err := out.Range.Source.ReadAt(b, out.Range.Position); err != nil {
		return nil, out.Offsets, err
	}
	err = raftlog.EachEntry(b, from, func(e raftlog.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, out.Offsets, err
}

// TestReadCommitted: up to what is published, and nothing before that.
func TestReadCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := open(vfs.NewMem(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := entriesFrom(n, 0, 1<<20); !errors.Is(err, kerr.NotLeaderForPartition) {
			t.Errorf("before anything is published: %v", err)
		}
		n.run()
		<-n.ready
		synctest.Wait()
		n.register(t)
		n.create(t, "x")
		synctest.Wait()
		high := n.Image().Offset() + 1
		entries, o, err := entriesFrom(n, 0, 1<<20)
		if err != nil || o.HighWatermark != high || o.LogStart != 0 || protocol.Offset(len(entries)) != high {
			t.Errorf("%d entries, %+v, %v", len(entries), o, err)
		}
		if entries, _, err := entriesFrom(n, 2, 1); err != nil || len(entries) != 1 || entries[0].Offset != 2 {
			t.Errorf("%d entries, %v", len(entries), err)
		}
		for _, ahead := range []protocol.Offset{high, high + 1, 1 << 60} {
			if entries, o, err := entriesFrom(n, ahead, 1); err != nil || len(entries) != 0 || o.HighWatermark != high {
				t.Errorf("from %d: %d entries, %+v, %v", ahead, len(entries), o, err)
			}
		}
		if _, _, err := entriesFrom(n, -1, 1); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("from -1: %v", err)
		}
		if at := committed(n); at != high {
			t.Errorf("committed up to %d, want %d", at, high)
		}
		n.stop(t)
		if at := committed(n); at != protocol.NoOffset {
			t.Errorf("committed up to %d after the end", at)
		}
	})
}

func committed(n *node) protocol.Offset {
	got := make(chan protocol.Offset, 1)
	n.Committed(func(at protocol.Offset, _ error) { got <- at })
	return <-got
}

func TestReadSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{SnapshotEntries: 5})
		defer n.stop(t)
		if _, _, ok := n.NewestSnapshot(); ok {
			t.Error("there is one already")
		}
		n.register(t)
		for i := range 7 {
			n.create(t, fmt.Sprint("topic-", i))
			synctest.Wait()
		}
		end, term, ok := n.NewestSnapshot()
		whole, size, err := n.ReadSnapshot(end, term, 0, 1<<20)
		if !ok || err != nil || size != int64(len(whole)) || size < 300 {
			t.Fatalf("%d of %d bytes, %v", len(whole), size, err)
		}
		var pieces []byte
		for int64(len(pieces)) < size {
			b, _, err := n.ReadSnapshot(end, term, int64(len(pieces)), 100)
			if err != nil || len(b) == 0 || len(b) > 100 {
				t.Fatalf("%d bytes at %d, %v", len(b), len(pieces), err)
			}
			pieces = append(pieces, b...)
		}
		if string(pieces) != string(whole) {
			t.Error("its pieces are not the whole")
		}
		for position, want := range map[int64]error{-1: kerr.PositionOutOfRange, size: kerr.PositionOutOfRange, size - 1: nil} {
			if _, _, err := n.ReadSnapshot(end, term, position, 1); !errors.Is(err, want) {
				t.Errorf("at %d: %v", position, err)
			}
		}
		if _, _, err := n.ReadSnapshot(end+1, term, 0, 1); !errors.Is(err, kerr.SnapshotNotFound) {
			t.Errorf("another one: %v", err)
		}
		if _, _, err := n.ReadSnapshot(-end, term, 0, 1); !errors.Is(err, kerr.SnapshotNotFound) {
			t.Errorf("one of no offset: %v", err)
		}
	})
}

// TestFollowersBesideTheDriver: readers everywhere in the log, while it grows and forgets, see every entry as it was written, and are told of what is gone in one way only.
func TestFollowersBesideTheDriver(t *testing.T) {
	n, err := open(vfs.NewMem(), Options{SnapshotEntries: 20})
	if err != nil {
		t.Fatal(err)
	}
	c := LogConfig()
	c.SegmentBytes, c.FileDeleteDelayMs = 8<<10, 0
	n.o.Log.SetConfig(c)
	n.run()
	<-n.ready
	n.register(t)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for reader := range 3 {
		readers.Go(func() {
			from, read, restored := protocol.Offset(0), 0, 0
			for !stop.Load() {
				entries, o, err := entriesFrom(n, from, 1000*(reader+1))
				switch {
				case errors.Is(err, kerr.OffsetOutOfRange) && from < o.LogStart:
					end, term, ok := n.NewestSnapshot()
					if !ok || end <= from {
						t.Errorf("the log begins at %d, and the newest snapshot ends at %d", o.LogStart, end)
						return
					}
					b, _, err := n.ReadSnapshot(end, term, 0, 1<<20)
					if errors.Is(err, kerr.SnapshotNotFound) {
						continue // there is a newer one
					}
					if err == nil {
						err = raftlog.EachChunk(b, raftlog.SnapshotID{End: end, Term: term}, func([]byte) error { return nil })
					}
					if err != nil {
						t.Errorf("snapshot of %d: %v", end, err)
						return
					}
					from, restored = end, restored+1
				case err != nil:
					t.Errorf("from %d: %v, %+v", from, err, o)
					return
				default:
					from, read = from+protocol.Offset(len(entries)), read+len(entries)
					if len(entries) == 0 && reader > 0 {
						from = max(0, from-50) // again, further back than the log goes
					}
				}
			}
			if read == 0 || reader > 0 && restored == 0 {
				t.Errorf("reader %d: %d entries, %d snapshots", reader, read, restored)
			}
		})
	}
	for i := range 400 {
		n.create(t, fmt.Sprint("topic-", i))
		if i%20 == 0 {
			if _, err := n.Status(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	n.stop(t)
}
