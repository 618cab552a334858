package replica

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/record"
	"ottla/log/vfs"
	"ottla/protocol"
)

func (b *broker) leadership(t testing.TB, name string, epoch protocol.LeaderEpoch) *Leadership {
	t.Helper()
	l, err := b.Leadership(topicID(name), 0, epoch, deadlines)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (b *broker) nextEpoch(name string) {
	id, leader := topicID(name), int32(me)
	b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Leader: &leader}))
}

// What is appended through a leadership can be read back to the log's end, and is awaited until it is durable.
func TestLeadershipAppendsReadsAndAwaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		l := b.leadership(t, "t", 0)
		first, second := records(2), records(3)
		var woken atomic.Int32
		for n, batch := range [][]byte{first, second} {
			base, err := l.Append(batch)
			if err != nil || base != protocol.Offset(2*n) {
				t.Fatalf("append %d: base offset %d, %v", n, base, err)
			}
		}
		if got, err := l.Read(0, make([]byte, 1<<20)); err != nil || !bytes.Equal(got, append(bytes.Clone(first), second...)) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		if got, err := l.Read(2, make([]byte, 10)); err != nil || !bytes.Equal(got, second) {
			t.Fatalf("a batch larger than the buffer: %d bytes, %v", len(got), err)
		}
		if got, err := l.Read(5, make([]byte, 10)); err != nil || len(got) != 0 {
			t.Fatalf("at the end: %d bytes, %v", len(got), err)
		}
		l.Await(5, func() { woken.Add(1) })
		synctest.Wait()
		if o, err := l.Offsets(); err != nil || o.HighWatermark != 5 || woken.Load() != 1 {
			t.Errorf("high watermark %d, woken %d times, %v", o.HighWatermark, woken.Load(), err)
		}
		l.Await(5, func() { woken.Add(1) }) // reached already
		if woken.Load() != 2 {
			t.Errorf("woken %d times", woken.Load())
		}
		b.stop(t)
	})
}

// Nothing decided in one epoch is written into another, even though the leader is the same.
func TestLeadershipEndsWithItsEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		l := b.leadership(t, "t", 0)
		var woken atomic.Int32
		l.Await(1, func() { woken.Add(1) })
		b.nextEpoch("t")
		if woken.Load() != 1 {
			t.Errorf("who waited was woken %d times", woken.Load())
		}
		l.Await(1, func() { woken.Add(1) })
		if woken.Load() != 2 {
			t.Errorf("who comes too late was woken %d times", woken.Load())
		}
		_, appended := l.Append(records(1))
		_, read := l.Read(0, make([]byte, 100))
		_, offsets := l.Offsets()
		for _, err := range []error{appended, read, offsets} {
			if !errors.Is(err, kerr.NotLeaderForPartition) {
				t.Errorf("got %v", err)
			}
		}
		if _, err := b.leadership(t, "t", 1).Append(records(1)); err != nil {
			t.Error(err)
		}
		b.apply(deletion("t"))
		if _, err := b.Leadership(topicID("t"), 0, 1, deadlines); !errors.Is(err, kerr.UnknownTopicID) {
			t.Errorf("a deleted topic: %v", err)
		}
		b.stop(t)
	})
}
