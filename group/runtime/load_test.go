package runtime

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"ottla/log/batch"
	"ottla/protocol"
)

// loaded leads shard 0 over what prepare wrote, in a bubble.
func loaded(t *testing.T, prepare func(p *partition), f func(t *testing.T, g *rig, p *partition)) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Options[*toy]{})
		defer g.close()
		p := g.partition(0)
		prepare(p)
		g.lead(0, 1)
		synctest.Wait()
		f(t, g, p)
	})
}

func TestLoadReplaysTheLog(t *testing.T) {
	loaded(t, func(p *partition) {
		b := batch.NewBuilder()
		p.add(build(b, "a=1", "b=2"), 0)
		b.Codec = batch.LZ4
		p.add(build(b, "a=3", "c=4"), 0)
		b.Codec = batch.None
		p.add(build(b, "b", "d="), 0)
		p.add(build(b), 0) // emptied by compaction
		p.commit(p.end)
	}, func(t *testing.T, g *rig, p *partition) {
		now, committed, at := g.state(0)
		expectMap(t, "the state", now, "a=3", "c=4", "d=")
		expectMap(t, "the committed state", committed, "a=3", "c=4", "d=")
		if at != 7 || g.machine().loaded.IsZero() {
			t.Errorf("committed at %d, loaded at %v", at, g.machine().loaded)
		}
	})
}

func TestLoadBeginsAtTheLogStart(t *testing.T) {
	loaded(t, func(p *partition) {
		p.add(build(batch.NewBuilder(), "a=1", "b=2"), 0)
		p.start = 1 // within the batch
		p.commit(p.end)
	}, func(t *testing.T, g *rig, p *partition) {
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "b=2")
	})
}

// What the leader before has answered for may lie above a new leader's high watermark: it decides, but answers no readers before it knows.
func TestReadersWaitUntilWhatWasLoadedIsCommitted(t *testing.T) {
	loaded(t, func(p *partition) {
		b := batch.NewBuilder()
		p.add(build(b, "a=1"), 0)
		p.commit(p.end)
		p.add(build(b, "a=2"), 0)
		p.add(build(b, "a=3"), 0)
	}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "4")
		for high := range protocol.Offset(3) {
			p.commit(high)
			if got := g.refusal(0); got != "COORDINATOR_LOAD_IN_PROGRESS" {
				t.Errorf("answer %q as of %d", got, high)
			}
		}
		p.commit(3)
		now, committed, at := g.state(0)
		expectMap(t, "the state", now, "a=4")
		expectMap(t, "the committed state", committed, "a=3")
		if at != 3 {
			t.Errorf("committed at %d", at)
		}
		expect(t, g.answers())
		p.commit(4)
		expect(t, g.answers(), "a=4 ok")
	})
}

func TestLoadWaitsForTransactions(t *testing.T) {
	loaded(t, func(p *partition) {
		data, marker := batch.NewBuilder(), batch.NewBuilder()
		data.Transactional, marker.Transactional, marker.Control = true, true, true
		of := func(id protocol.ProducerID) {
			data.ProducerID, marker.ProducerID, data.ProducerEpoch, marker.ProducerEpoch = id, id, 0, 0
		}
		end := func(m batch.MarkerType) {
			marker.Reset()
			marker.AddMarker(0, batch.Marker{Type: m})
			p.add(marker.Build(nil), 0)
		}
		of(1)
		p.add(build(data, "committed=1"), 0)
		of(2)
		p.add(build(data, "aborted=1"), 0)
		of(3)
		p.add(build(data, "open=1"), 0)
		of(1)
		end(batch.MarkerCommit)
		of(2)
		end(batch.MarkerAbort)
		p.commit(p.end)
	}, func(t *testing.T, g *rig, p *partition) {
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "committed=1")
	})
}

func TestWhatDoesNotLoadIsNotAvailable(t *testing.T) {
	for name, spoil := range map[string]func(p *partition){
		"a record that does not parse": func(p *partition) { p.add(build(batch.NewBuilder(), "a="+bad), 0) },
		"damage":                       func(p *partition) { p.batches[0][66] ^= 1 },
		"a batch that ends early":      func(p *partition) { p.batches[0] = p.batches[0][:66] },
		"a log that ends early":        func(p *partition) { p.end = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			var good []byte
			loaded(t, func(p *partition) {
				p.add(build(batch.NewBuilder(), "x=1"), 0)
				good = append(good, p.batches[0]...)
				spoil(p)
				p.high = p.end
			}, func(t *testing.T, g *rig, p *partition) {
				if got := g.refusal(0); got != "COORDINATOR_NOT_AVAILABLE" {
					t.Errorf("answer %q", got)
				}
				p.batches, p.end = [][]byte{good}, 1
				p.high = 1
				g.lead(0, 2)
				now, _, _ := g.state(0)
				expectMap(t, "the state", now, "x=1")
			})
		})
	}
}

func TestOperationsAreRefusedWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var most atomic.Int32
		g := newRig(t, Options[*toy]{Loads: 2})
		for shard := range int32(5) {
			p := g.partition(shard)
			p.add(build(batch.NewBuilder(), "a=1"), 0)
			p.commit(1)
			p.held, p.most = hold, &most
			g.lead(shard, 1)
		}
		synctest.Wait()
		if n := most.Load(); n != 2 {
			t.Errorf("%d shards load at a time", n)
		}
		for shard := range int32(5) {
			if got := g.refusal(shard); got != "COORDINATOR_LOAD_IN_PROGRESS" {
				t.Errorf("shard %d answers %q", shard, got)
			}
		}
		g.Resign(4, 2) // given up before it was begun
		g.lead(0, 2)   // and another leadership while it is being read
		close(hold)
		synctest.Wait()
		for shard := range int32(4) {
			now, _, _ := g.state(shard)
			expectMap(t, "the state", now, "a=1")
		}
		if got := g.refusal(4); got != "NOT_COORDINATOR" {
			t.Errorf("the shard given up answers %q", got)
		}
		g.close()
	})
}

func TestRetentionMayPassALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Options[*toy]{})
		p := g.partition(0)
		p.add(build(batch.NewBuilder(), "a=1"), 0)
		p.add(build(batch.NewBuilder(), "b=2"), 0)
		p.commit(2)
		p.held = make(chan struct{})
		g.lead(0, 1)
		synctest.Wait()
		p.mu.Lock()
		p.start = 1
		p.mu.Unlock()
		close(p.held)
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "b=2")
		g.close()
	})
}
