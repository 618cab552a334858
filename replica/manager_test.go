package replica

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/record"
	"ottla/log"
	"ottla/log/checkpoint"
	"ottla/log/purgatory"
	"ottla/log/vfs"
	"ottla/protocol"
)

func TestLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("mine", 2)...)
		b.apply(topicOn("other", 1, []int32{2}, []int32{2}, 2)...)
		b.apply(topicOn("followed", 1, []int32{1, 2}, []int32{1, 2}, 2)...)
		for _, c := range []struct {
			name      string
			partition int32
			want      error
		}{
			{"mine", 1, nil}, {"mine", 2, kerr.UnknownTopicOrPartition}, {"mine", -1, kerr.UnknownTopicOrPartition}, {"none", 0, kerr.UnknownTopicID},
			{"other", 0, kerr.NotLeaderForPartition}, {"followed", 0, kerr.NotLeaderForPartition},
		} {
			if _, err := b.Leader(topicID(c.name), c.partition); !errors.Is(err, c.want) {
				t.Errorf("%s-%d: %v, want %v", c.name, c.partition, err, c.want)
			}
		}
		b.stop(t)
	})
}

// TestLeadershipMoves: who waits is failed when another broker takes over, and a new leadership goes on where the log is.
func TestLeadershipMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topicOn("t", 1, []int32{1, 2}, []int32{1}, 1)...)
		p := b.leader(t, "t", 0)
		p.mustAppend(t, 3, acksAll)
		w := p.waitOffset(9)
		synctest.Wait()
		id := topicID("t")
		other, mine := int32(2), int32(1)
		b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Leader: &other}))
		if !w.woken || w.Finish() != purgatory.Failed {
			t.Error("the waiter was not failed")
		}
		var info log.AppendInfo
		if err := p.Append(records(1), 1, log.AppendOptions{}, &info); !errors.Is(err, kerr.NotLeaderForPartition) {
			t.Errorf("append: %v", err)
		}
		b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Leader: &mine}))
		if p2 := b.leader(t, "t", 0); p2 != p || p.Offsets().HighWatermark != 3 || p.Offsets().Epoch != 2 {
			t.Errorf("%+v", p.Offsets())
		}
		b.stop(t)
	})
}

// TestTopicDeletion: who waits is failed, the files go, and the name is free at once.
func TestTopicDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		b := launch(t, fs, topic("t", 3)...)
		p := b.leader(t, "t", 1)
		p.mustAppend(t, 3, acksAll)
		synctest.Wait()
		w := p.waitOffset(9)
		again := topic("t", 1)
		id := protocol.TopicID{9, 9}
		for _, r := range again {
			switch k := r.Kind.(type) {
			case *record.Record_Topic:
				k.Topic.Id = id[:]
			case *record.Record_Partition:
				k.Partition.TopicId = id[:]
				k.Partition.Partition = 0
			}
		}
		b.apply(append([]*record.Record{deletion("t")}, again...)...)
		if !w.woken || w.Finish() != purgatory.Failed {
			t.Error("the waiter was not failed")
		}
		var info log.AppendInfo
		if err := p.Append(records(1), 1, log.AppendOptions{}, &info); !errors.Is(err, kerr.NotLeaderForPartition) {
			t.Errorf("append: %v", err)
		}
		if _, err := b.Leader(topicID("t"), 1); !errors.Is(err, kerr.UnknownTopicID) {
			t.Errorf("leader: %v", err)
		}
		p, err := b.Leader(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if o := p.Offsets(); o.LogEnd != 0 {
			t.Errorf("the new topic has the old one's records: %+v", o)
		}
		p.mustAppend(t, 1, acksAll)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if names := folders(t, fs); fmt.Sprint(names) != "[t-0]" {
			t.Errorf("folders %v", names)
		}
		b.stop(t)
	})
}

func folders(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	entries, err := fs.ReadDir("data")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestStrays: what the cluster does not know any more goes at the next start; what it knows stays, and so does the metadata's own log.
func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		b := launch(t, fs, append(append(topic("kept", 1), topic("gone", 2)...), topic("__cluster_metadata", 1)...)...)
		for name, n := range map[string]int32{"kept": 0, "gone": 1, "__cluster_metadata": 0} {
			b.leader(t, name, n).mustAppend(t, 1, acksAll)
		}
		synctest.Wait()
		b.stop(t)
		b = launch(t, fs, topic("kept", 1)...)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if names := folders(t, fs); fmt.Sprint(names) != "[__cluster_metadata-0 kept-0]" {
			t.Errorf("folders %v", names)
		}
		if o := b.leader(t, "kept", 0).Offsets(); o.HighWatermark != 1 {
			t.Errorf("%+v", o)
		}
		b.stop(t)
	})
}

// TestRestart: a clean stop and a power cut both leave everything that was committed, and it is committed again.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		b := launch(t, fs, topic("t", 2)...)
		b.leader(t, "t", 0).mustAppend(t, 3, acksAll)
		synctest.Wait()
		crashed := fs.CrashClone(nil, 0)
		killed := fs.CrashClone(nil, 1)
		b.leader(t, "t", 0).mustAppend(t, 2, 1)
		b.stop(t)
		for name, c := range map[string]struct {
			fs   *vfs.Mem
			want protocol.Offset
		}{"clean": {fs, 5}, "power cut": {crashed, 3}, "killed": {killed, 3}} {
			b := launch(t, c.fs, topic("t", 2)...)
			p := b.leader(t, "t", 0)
			synctest.Wait()
			if o := p.Offsets(); o.HighWatermark != c.want || o.LogEnd != c.want {
				t.Errorf("%s: %+v, want %d", name, o, c.want)
			}
			b.stop(t)
		}
	})
}

// TestCheckpoint: high watermarks are written some seconds after they moved and at a stop; those of partitions that nobody used stay as they were.
func TestCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		written := func() map[protocol.TopicPartition]protocol.Offset {
			offsets, err := checkpoint.ReadOffsets(fs, "data", checkpoint.HighWatermarks)
			if err != nil {
				t.Fatal(err)
			}
			return offsets
		}
		b := launch(t, fs, topic("t", 3)...)
		b.leader(t, "t", 0).mustAppend(t, 3, acksAll)
		b.leader(t, "t", 1).mustAppend(t, 4, acksAll)
		time.Sleep(checkpointDelay)
		synctest.Wait()
		if got := fmt.Sprint(written()); got != "map[t-0:3 t-1:4]" {
			t.Errorf("after some seconds: %s", got)
		}
		b.leader(t, "t", 0).mustAppend(t, 1, acksAll)
		synctest.Wait()
		b.stop(t)
		if got := fmt.Sprint(written()); got != "map[t-0:4 t-1:4]" {
			t.Errorf("after the stop: %s", got)
		}
		b = launch(t, fs, topic("t", 3)...)
		b.leader(t, "t", 0).mustAppend(t, 1, acksAll)
		synctest.Wait()
		b.stop(t)
		if got := fmt.Sprint(written()); got != "map[t-0:5 t-1:4]" {
			t.Errorf("after another run: %s", got)
		}
	})
}

// TestIdle: with nothing to do there is no timer.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 100)...)
		time.Sleep(30 * 24 * time.Hour)
		b.stop(t)
	})
}

func TestManyPartitionsCostNothingOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		b := launch(t, fs, topic("t", 10_000)...)
		if p := b.leader(t, "t", 9_999); p.Offsets().LogEnd != 0 {
			t.Errorf("%+v", p.Offsets())
		}
		if names := folders(t, fs); len(names) != 0 {
			t.Errorf("%d folders", len(names))
		}
		b.stop(t)
	})
}
