package replica

import (
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/record"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
)

// TestDurableTopic: what is appended is visible, and acks=all answered, when it is on disk and not before.
func TestDurableTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		p := b.leader(t, "t", 0)
		reader := p.waitBytes(1)
		info := p.mustAppend(t, 3, 1)
		if info.BaseOffset != 0 || info.NextOffset != 3 {
			t.Fatalf("%+v", info)
		}
		if o := p.Offsets(); o.HighWatermark != 0 || o.LogEnd != 3 || p.read(t, 0) != nil {
			t.Errorf("before the flush: %+v", o)
		}
		synctest.Wait() // the reader waits, so no time has to pass
		if o := p.Offsets(); o.HighWatermark != 3 || !reader.woken || reader.Finish() != purgatory.Reached {
			t.Errorf("after the flush: %+v, reader woken %v", o, reader.woken)
		}
		if len(p.read(t, 0)) != info.Bytes || p.Waiters().Visible() != int64(info.Bytes) {
			t.Errorf("read %d bytes, visible %d, appended %d", len(p.read(t, 0)), p.Waiters().Visible(), info.Bytes)
		}

		began := time.Now()
		info = p.mustAppend(t, 1, acksAll)
		writer := p.waitOffset(info.NextOffset)
		synctest.Wait()
		if !writer.woken || writer.Finish() != purgatory.Reached || time.Since(began) != 0 {
			t.Errorf("acks=all: woken %v after %v", writer.woken, time.Since(began))
		}

		p.mustAppend(t, 1, 1) // nobody waits: within 5 ms
		synctest.Wait()
		if o := p.Offsets(); o.HighWatermark != 4 {
			t.Errorf("flushed at once for nobody: %+v", o)
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if o := p.Offsets(); o.HighWatermark != 5 {
			t.Errorf("after 5 ms: %+v", o)
		}
		b.stop(t)
	})
}

// TestMemoryTopic: visible at once, as in Kafka.
func TestMemoryTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), append(topic("t", 1), setConfig(config.Topic, "t", "ottla.durability", "memory"))...)
		p := b.leader(t, "t", 0)
		reader, writer := p.waitBytes(1), p.waitOffset(2)
		info := p.mustAppend(t, 2, acksAll)
		if o := p.Offsets(); o.HighWatermark != 2 || !reader.woken || !writer.woken || len(p.read(t, 0)) != info.Bytes {
			t.Errorf("%+v, reader woken %v, writer %v", o, reader.woken, writer.woken)
		}
		reader.Finish()
		writer.Finish()

		// From now on durable: what was committed stays so, what follows waits for the disk.
		b.apply(setConfig(config.Topic, "t", "ottla.durability", "durable"))
		p.mustAppend(t, 2, 1)
		if o := p.Offsets(); o.HighWatermark != 2 {
			t.Errorf("durable now: %+v", o)
		}
		synctest.Wait()
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if o := p.Offsets(); o.HighWatermark != 4 {
			t.Errorf("flushed: %+v", o)
		}
		// And back: what is there is committed.
		p.mustAppend(t, 2, 1)
		b.apply(setConfig(config.Topic, "t", "ottla.durability", "memory"))
		if o := p.Offsets(); o.HighWatermark != 6 {
			t.Errorf("memory again: %+v", o)
		}
		b.stop(t)
	})
}

// TestMinInSyncReplicas: below the minimum nothing is accepted with acks=all, and nothing is committed (KIP-966).
func TestMinInSyncReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := topicOn("t", 1, []int32{1, 2, 3}, []int32{1}, 1)
		b := launch(t, vfs.NewMem(), append(rs, setConfig(config.Topic, "t", "min.insync.replicas", "2"))...)
		p := b.leader(t, "t", 0)
		var info log.AppendInfo
		if err := p.Append(records(1), acksAll, log.AppendOptions{}, &info); !errors.Is(err, kerr.NotEnoughReplicas) {
			t.Errorf("acks=all: %v", err)
		}
		p.mustAppend(t, 1, 1)
		time.Sleep(time.Second)
		if o := p.Offsets(); o.LogEnd != 1 || o.HighWatermark != 0 {
			t.Errorf("%+v", o)
		}
		waiter := p.waitOffset(1)
		b.apply(setConfig(config.Topic, "t", "min.insync.replicas", "1"))
		if o := p.Offsets(); o.HighWatermark != 1 || !waiter.woken {
			t.Errorf("minimum lowered: %+v, woken %v", o, waiter.woken)
		}
		waiter.Finish()
		// A second replica joins the set: nothing is committed that it has not vouched for.
		id := topicID("t")
		b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Isr: &record.BrokerList{Ids: []int32{1, 2}}}))
		p.mustAppend(t, 1, 1)
		time.Sleep(time.Second)
		if o := p.Offsets(); o.HighWatermark != 1 {
			t.Errorf("with a follower that has vouched for nothing: %+v", o)
		}
		// What the topic does not set comes from the broker's configs, this one's before those of all.
		unset := record.Of(&record.Config{ResourceType: int32(config.Topic), ResourceName: "t", Name: "min.insync.replicas"})
		b.apply(unset, setConfig(config.Broker, "", "min.insync.replicas", "3"))
		if err := p.Append(records(1), acksAll, log.AppendOptions{}, &info); !errors.Is(err, kerr.NotEnoughReplicas) {
			t.Errorf("by the default of all brokers: %v", err)
		}
		b.apply(setConfig(config.Broker, "1", "min.insync.replicas", "2"))
		if err := p.Append(records(1), acksAll, log.AppendOptions{}, &info); err != nil {
			t.Errorf("by this broker's own config: %v", err)
		}
		b.stop(t)
	})
}

func TestLeaderEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		id, leader := topicID("t"), int32(me)
		for range 3 {
			b.leader(t, "t", 0).mustAppend(t, 2, acksAll)
			b.apply(record.Of(&record.PartitionChange{TopicId: id[:], Leader: &leader}))
		}
		p := b.leader(t, "t", 0)
		p.mustAppend(t, 2, acksAll) // epochs 0 to 3, two records each
		synctest.Wait()
		for _, c := range []struct {
			from          protocol.Offset
			current, last protocol.LeaderEpoch
			want          error
			diverging     protocol.LeaderEpoch
			divergingEnd  protocol.Offset
			empty         bool
		}{
			{from: 0, current: -1, last: -1, diverging: -1},
			{from: 0, current: 3, last: -1, diverging: -1},
			{from: 0, current: 2, last: -1, want: kerr.FencedLeaderEpoch},
			{from: 0, current: 4, last: -1, want: kerr.UnknownLeaderEpoch},
			{from: 8, current: 3, last: 3, diverging: -1, empty: true},
			{from: 4, current: 3, last: 1, diverging: -1},
			{from: 5, current: 3, last: 1, diverging: 1, divergingEnd: 4, empty: true},
			{from: 9, current: 3, last: 3, diverging: 3, divergingEnd: 8, empty: true},
			{from: 9, current: 3, last: -1, want: kerr.OffsetOutOfRange},
			{from: 4, current: 3, last: 9, want: kerr.OffsetOutOfRange},
		} {
			var out log.ReadResult
			err := p.Read(log.ReadOptions{From: c.from, MaxBytes: 1 << 20, CurrentEpoch: c.current, LastFetchedEpoch: c.last}, &out)
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %v", c, err)
			}
			if err == nil {
				if d := out.Diverging; d.Found != (c.diverging >= 0) || d.Found && (d.Epoch != c.diverging || d.EndOffset != c.divergingEnd) || (out.Range.Source == nil) != c.empty {
					t.Errorf("%+v: %+v", c, out)
				}
			}
			if out.Range.Source != nil {
				out.Range.Source.Release()
			}
		}
		for _, c := range []struct {
			current, wanted, epoch protocol.LeaderEpoch
			end                    protocol.Offset
			want                   error
		}{
			{current: -1, wanted: 1, epoch: 1, end: 4},
			{current: 3, wanted: 3, epoch: 3, end: 8},
			{current: 3, wanted: 4, epoch: -1, end: -1},
			{current: 2, wanted: 1, epoch: -1, end: -1, want: kerr.FencedLeaderEpoch},
			{current: 5, wanted: 1, epoch: -1, end: -1, want: kerr.UnknownLeaderEpoch},
		} {
			if epoch, end, err := p.EpochEnd(c.current, c.wanted); epoch != c.epoch || end != c.end || !errors.Is(err, c.want) {
				t.Errorf("%+v: %d, %d, %v", c, epoch, end, err)
			}
		}
		b.stop(t)
	})
}

func TestDeleteRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), append(topic("t", 2), topic("c", 1)...)...)
		b.apply(setConfig(config.Topic, "c", "cleanup.policy", "compact"))
		p := b.leader(t, "t", 0)
		for range 4 {
			p.mustAppend(t, 1, acksAll)
		}
		synctest.Wait()
		for _, c := range []struct {
			before, low protocol.Offset
			want        error
		}{
			{before: 2, low: 2}, {before: 1, low: 2}, {before: 5, want: kerr.OffsetOutOfRange}, {before: -2, want: kerr.OffsetOutOfRange}, {before: -1, low: 4},
		} {
			if low, err := p.DeleteRecords(c.before); low != c.low || !errors.Is(err, c.want) {
				t.Errorf("before %d: %d, %v", c.before, low, err)
			}
		}
		if o := p.Offsets(); o.LogStart != 4 || o.HighWatermark != 4 {
			t.Errorf("%+v", o)
		}
		var out log.ReadResult
		if err := p.Read(log.ReadOptions{From: 1, CurrentEpoch: -1, LastFetchedEpoch: -1}, &out); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("read what was deleted: %v", err)
		}
		if _, err := b.leader(t, "c", 0).DeleteRecords(0); !errors.Is(err, kerr.PolicyViolation) {
			t.Errorf("compacted: %v", err)
		}
		if low, err := b.leader(t, "t", 1).DeleteRecords(-1); low != 0 || err != nil {
			t.Errorf("never written: %d, %v", low, err)
		}
		b.stop(t)
	})
}

func TestOffsetForTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		p := b.leader(t, "t", 0)
		began := time.Now().UnixMilli()
		for range 3 {
			p.mustAppend(t, 1, acksAll)
			time.Sleep(time.Second)
		}
		for _, c := range []struct {
			ts   int64
			want protocol.Offset
		}{{0, 0}, {began, 0}, {began + 1, 1}, {began + 2000, 2}, {began + 2001, -1}, {maxTimestamp, 2}} {
			if found, err := p.OffsetForTimestamp(c.ts, 0); err != nil || found.Offset != c.want {
				t.Errorf("at %d: %+v, %v; want %d", c.ts-began, found, err, c.want)
			}
		}
		b.stop(t)
	})
}

// TestOffline: a disk that fails takes its partitions along; who waits is told.
func TestOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		b := launch(t, faulty, topic("t", 1)...)
		p := b.leader(t, "t", 0)
		p.mustAppend(t, 1, acksAll)
		synctest.Wait()
		faulty.Set(vfs.Rule{Ops: vfs.OpSync, Path: ".log", Err: syscall.EIO})
		info := p.mustAppend(t, 1, acksAll)
		w := p.waitOffset(info.NextOffset)
		synctest.Wait()
		if !w.woken || w.Finish() != purgatory.Failed {
			t.Errorf("woken %v", w.woken)
		}
		if _, err := b.Leader(topicID("t"), 0); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("leader: %v", err)
		}
		if err := p.Append(records(1), 1, log.AppendOptions{}, info); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("append: %v", err)
		}
		b.cancel()
		<-b.ended
		<-b.ended
	})
}

// TestConcurrentUse is for the race detector, and for the one invariant that everybody sees: the high watermark never falls.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := launch(t, vfs.NewMem(), topic("t", 1)...)
		p := b.leader(t, "t", 0)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 100 {
					info := p.mustAppend(t, 1, acksAll)
					for p.Offsets().HighWatermark < info.NextOffset {
						time.Sleep(time.Microsecond)
					}
				}
			})
		}
		wg.Go(func() {
			last := protocol.Offset(0)
			for last < 400 {
				o := p.Offsets()
				if o.HighWatermark < last || o.HighWatermark > o.LogEnd || o.LogStart > o.HighWatermark {
					t.Errorf("%+v after %d", o, last)
				}
				last = o.HighWatermark
				if last > 0 && len(p.read(t, 0)) == 0 {
					t.Error("what is below the high watermark cannot be read")
				}
				time.Sleep(time.Microsecond)
			}
		})
		for i := range 20 {
			b.apply(setConfig(config.Topic, "t", "ottla.durability", []string{"memory", "durable"}[i%2]))
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		synctest.Wait()
		time.Sleep(time.Second)
		if visible, size := p.Waiters().Visible(), p.log.Size(); visible != size {
			t.Errorf("%d bytes were announced, %d are there", visible, size)
		}
		b.stop(t)
	})
}

func TestPartitionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Partition{}); size > 256 {
		t.Errorf("%d bytes", size)
	}
}
