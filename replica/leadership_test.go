package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/record"
	"ottla/group/runtime"
	"ottla/log/batch"
	"ottla/log/timeline"
	"ottla/log/vfs"
	"ottla/protocol"
)

var _ runtime.PartitionLog = (*Leadership)(nil)

func (b *broker) leadership(t testing.TB, name string, epoch protocol.LeaderEpoch) *Leadership {
	t.Helper()
	l, err := b.Leadership(topicID(name), 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reelect moves a topic's partition 0 to the next leader epoch, with this broker as leader again or not.
func (b *broker) reelect(name string, leader int32) {
	id := topicID(name)
	b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Leader: &leader}))
}

func TestALeadershipEndsWithItsEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topicOn("coordinated", 1, []int32{int32(me), 2}, []int32{int32(me)}, int32(me))...)
		defer b.stop(t)
		l := b.leadership(t, "coordinated", 0)
		if base, err := l.Append(records(2)); base != 0 || err != nil {
			t.Fatalf("appended at %d, %v", base, err)
		}
		reached := 0
		l.Await(2, func() { reached++ })
		b.store.Settle()
		synctest.Wait()
		if reached != 1 {
			t.Fatalf("woken %d times when the records were durable", reached)
		}
		l.Await(3, func() { reached++ })
		b.reelect("coordinated", int32(me))
		if reached != 2 {
			t.Fatalf("woken %d times when the epoch ended", reached)
		}
		l.Await(3, func() { reached++ })
		if reached != 3 {
			t.Error("an await after the end waits")
		}
		if _, err := b.leadership(t, "coordinated", 1).Append(records(1)); err != nil { // the next epoch has begun: its waits are not failed any more
			t.Fatal(err)
		}
		l.Await(100, func() { reached++ })
		if reached != 4 {
			t.Error("an await after the next epoch began waits")
		}
		if _, err := l.Append(records(1)); !errors.Is(err, kerr.FencedLeaderEpoch) {
			t.Errorf("append in an old epoch: %v", err)
		}
		if _, err := l.Offsets(); !errors.Is(err, kerr.FencedLeaderEpoch) {
			t.Errorf("offsets in an old epoch: %v", err)
		}
		if _, err := l.Read(0, nil); !errors.Is(err, kerr.FencedLeaderEpoch) {
			t.Errorf("read in an old epoch: %v", err)
		}
		next := b.leadership(t, "coordinated", 1)
		if base, err := next.Append(records(1)); base != 3 || err != nil {
			t.Errorf("the next epoch appends at %d, %v", base, err)
		}
		b.reelect("coordinated", 2)
		if _, err := next.Append(records(1)); !errors.Is(err, kerr.NotLeaderForPartition) {
			t.Errorf("append without a leadership: %v", err)
		}
	})
}

func TestALeadershipReadsItsWholeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("coordinated", 1)...)
		defer b.stop(t)
		l := b.leadership(t, "coordinated", 0)
		for range 5 {
			if _, err := l.Append(records(2)); err != nil {
				t.Fatal(err)
			}
		}
		var offsets []protocol.Offset
		for from := protocol.Offset(1); ; {
			chunk, err := l.Read(from, make([]byte, 0, 200))
			if err != nil {
				t.Fatal(err)
			}
			if len(chunk) == 0 {
				break
			}
			for len(chunk) > 0 {
				var h batch.Header
				if err := batch.ParseHeader(chunk, &h); err != nil {
					t.Fatal(err)
				}
				offsets, from, chunk = append(offsets, h.BaseOffset), h.NextOffset(), chunk[h.Size():]
			}
		}
		if fmt.Sprint(offsets) != "[0 2 4 6 8]" {
			t.Errorf("batches at %d", offsets)
		}
		if large, err := l.Read(0, nil); err != nil || len(large) == 0 {
			t.Errorf("a batch larger than the buffer: %d bytes, %v", len(large), err)
		}
	})
}

func TestALeadershipNeedsEnoughReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := topicOn("coordinated", 1, []int32{int32(me), 2}, []int32{int32(me)}, int32(me))
		b := launch(t, vfs.NewMem(), append(rs, setConfig(2, "coordinated", "min.insync.replicas", "2"))...)
		defer b.stop(t)
		if _, err := b.leadership(t, "coordinated", 0).Append(records(1)); !errors.Is(err, kerr.NotEnoughReplicas) {
			t.Errorf("append with one of two replicas: %v", err)
		}
		if _, err := b.Leadership(topicID("unknown"), 0, 0); !errors.Is(err, kerr.UnknownTopicID) {
			t.Errorf("an unknown topic: %v", err)
		}
	})
}

// tally is a machine that keeps the last value of each key.
type tally struct {
	values *timeline.Map[string, string]
}

func (m tally) Apply(_ protocol.Offset, r runtime.Record) error {
	m.values.Set(string(r.Key), string(r.Value))
	return nil
}
func (tally) Loaded(time.Time) runtime.Effects { return runtime.Effects{} }
func (tally) Deadline() time.Time              { return time.Time{} }
func (tally) Expire(time.Time) runtime.Effects { return runtime.Effects{} }
func (tally) Close(error)                      {}

// A coordinator on a real log: what it answered is there after a restart.
func TestACoordinatorOnALeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		rs := topic("coordinated", 1)
		want := make(map[string]string)
		for round := range 3 {
			b := launch(t, fs, rs...)
			c := runtime.New(runtime.Options[tally]{Topic: "coordinated", Logger: quiet, Settle: b.store.Settle, NewMachine: func(_ int32, t *timeline.Timeline) tally {
				return tally{values: timeline.NewMap[string, string](t)}
			}})
			c.Lead(0, 0, b.leadership(t, "coordinated", 0))
			synctest.Wait()
			var got map[string]string
			c.Read(0, func(m tally, at protocol.Offset, _ time.Time) { got = maps.Collect(m.values.AllAt(int64(at))) }, func(err error) { t.Error(err) })
			synctest.Wait()
			if !maps.Equal(got, want) {
				t.Fatalf("round %d begins with %v, want %v", round, got, want)
			}
			answered := 0
			for i := range 10 {
				k, v := fmt.Sprint("key ", i*round), fmt.Sprint(i, " in round ", round)
				want[k] = v
				c.Write(0, func(tally, time.Time) runtime.Effects {
					return runtime.Effects{Records: []runtime.Record{{Key: []byte(k), Value: []byte(v)}}, Committed: func() { answered++ }, Failed: func(err error) { t.Error(err) }}
				}, func(err error) { t.Error(err) })
			}
			synctest.Wait()
			if answered != 10 {
				t.Fatalf("%d of 10 answers", answered)
			}
			if err := c.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			b.stop(t)
		}
	})
}
