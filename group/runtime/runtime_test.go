package runtime

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/protocol"
)

func expect(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("answers %q, want %q", got, want)
	}
}

func expectMap(t testing.TB, what string, got map[string]string, want ...string) {
	t.Helper()
	w := make(map[string]string)
	for _, kv := range want {
		k, v, _ := strings.Cut(kv, "=")
		w[k] = v
	}
	if !maps.Equal(got, w) {
		t.Fatalf("%s is %v, want %v", what, got, w)
	}
}

func TestAnswersLeaveWhenTheHighWatermarkPasses(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		synctest.Wait()
		g.put(0, "a", "2")
		expect(t, g.answers())
		now, committed, at := g.state(0)
		expectMap(t, "the current state", now, "a=2")
		expectMap(t, "the committed state", committed)
		if at != 0 {
			t.Fatalf("committed at %d", at)
		}
		p.commit(1)
		expect(t, g.answers(), "a=1 ok")
		_, committed, _ = g.state(0)
		expectMap(t, "the committed state", committed, "a=1")
		p.commit(2)
		expect(t, g.answers(), "a=2 ok")
		_, committed, at = g.state(0)
		expectMap(t, "the committed state", committed, "a=2")
		if at != 2 {
			t.Fatalf("committed at %d", at)
		}
	})
}

func TestWithoutRecordsTheAnswerLeavesAtOnce(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		g.Write(0, func(m *toy, _ time.Time) Effects {
			v, _ := m.values.Get("a")
			return g.effects("heartbeat on " + v)
		}, func(err error) { t.Error(err) })
		expect(t, g.answers(), "heartbeat on 1 ok")
	})
}

func TestWhatWaitsTogetherSharesAnAppend(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		release := g.busy(0)
		for _, v := range []string{"1", "2", "3"} {
			g.put(0, "a", v)
		}
		release()
		synctest.Wait()
		if len(p.batches) != 1 || p.end != 3 {
			t.Fatalf("%d batches up to %d", len(p.batches), p.end)
		}
		p.commit(3)
		expect(t, g.answers(), "a=1 ok", "a=2 ok", "a=3 ok")
	})
}

func TestABatchIsCutBetweenOperations(t *testing.T) {
	inBubble(t, Options[*toy]{MaxBatch: 250}, func(t *testing.T, g *rig, p *partition) {
		release := g.busy(0)
		pair := func(name string) {
			value := []byte(strings.Repeat(name, 30))
			g.Write(0, func(*toy, time.Time) Effects {
				return g.effects(name, Record{[]byte(name + "1"), value}, Record{[]byte(name + "2"), value})
			}, func(err error) { t.Error(err) })
		}
		pair("a")
		pair("b")
		g.Write(0, func(*toy, time.Time) Effects {
			return g.effects("large", Record{[]byte("large"), make([]byte, 300)})
		}, func(err error) { t.Error(err) })
		release()
		expect(t, g.answers(), "large MESSAGE_TOO_LARGE")
		if len(p.batches) != 2 || p.end != 4 {
			t.Fatalf("%d batches up to %d", len(p.batches), p.end)
		}
		p.commit(2)
		expect(t, g.answers(), "a ok")
		p.commit(4)
		expect(t, g.answers(), "b ok")
	})
}

func TestAFailedAppendUndoesWhatItsOperationsDid(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		synctest.Wait()
		p.refuse(kerr.NotEnoughReplicas)
		release := g.busy(0)
		g.put(0, "a", "2")
		g.Write(0, func(m *toy, _ time.Time) Effects {
			if v, _ := m.values.Get("a"); v != "2" {
				t.Errorf("a decision does not see the one before: %q", v)
			}
			return g.effects("b", Record{[]byte("b"), []byte("1")})
		}, func(err error) { t.Error(err) })
		release()
		expect(t, g.answers(), "a=2 COORDINATOR_NOT_AVAILABLE", "b COORDINATOR_NOT_AVAILABLE")
		p.refuse(nil)
		g.put(0, "c", "3")
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "a=1", "c=3")
		p.commit(2)
		expect(t, g.answers(), "a=1 ok", "c=3 ok")
	})
}

func TestErrorsOfAppendsAreTheClients(t *testing.T) {
	for err, want := range map[error]string{
		kerr.NotLeaderForPartition: "NOT_COORDINATOR", kerr.KafkaStorageError: "NOT_COORDINATOR", kerr.NotEnoughReplicas: "COORDINATOR_NOT_AVAILABLE",
		kerr.RecordListTooLarge: "MESSAGE_TOO_LARGE", kerr.MessageTooLarge: "MESSAGE_TOO_LARGE", errors.New("odd"): "UNKNOWN_SERVER_ERROR",
	} {
		if got := codeOf(appendError(err)); got != want {
			t.Errorf("%v is told as %s, want %s", err, got, want)
		}
	}
}

func TestLeadershipLostFailsWhoWaits(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		synctest.Wait()
		first := g.machine()
		release := g.busy(0)
		g.put(0, "a", "2") // in the queue
		p.moves(2, 0)
		g.Resign(0, 2)
		g.put(0, "a", "3")
		release()
		got := g.answers()
		slices.Sort(got)
		expect(t, got, "a=1 NOT_COORDINATOR", "a=2 refused NOT_COORDINATOR", "a=3 refused NOT_COORDINATOR")
		if codeOf(first.closed) != "NOT_COORDINATOR" {
			t.Fatalf("the machine was closed with %v", first.closed)
		}
		g.Lead(0, 1, term{p, 1}) // an old story
		if got := g.refusal(0); got != "NOT_COORDINATOR" {
			t.Fatalf("after a stale Lead: %q", got)
		}
		g.lead(0, 3)
		now, _, _ := g.state(0)
		expectMap(t, "the state", now)
		g.Resign(0, 2) // an old story
		if got := g.refusal(0); got != "" {
			t.Fatalf("after a stale Resign: %s", got)
		}
		if g.machine() == first {
			t.Fatal("the old machine goes on")
		}
	})
}

func TestALaterLeadershipTakesOver(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		synctest.Wait()
		g.lead(0, 5) // without a Resign between; the record survived
		expect(t, g.answers(), "a=1 NOT_COORDINATOR")
		p.commit(1)
		now, committed, _ := g.state(0)
		expectMap(t, "the state", now, "a=1")
		expectMap(t, "the committed state", committed, "a=1")
		g.Lead(0, 5, term{p, 5}) // again the same
		if len(g.toys) != 2 {
			t.Fatalf("%d machines", len(g.toys))
		}
	})
}

// The log may know before the runtime is told.
func TestTheLogTellsOfALostLeadership(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(0, "a", "1")
		synctest.Wait()
		p.moves(2, 0)
		expect(t, g.answers(), "a=1 NOT_COORDINATOR")
		if g.machine().closed == nil {
			t.Fatal("the machine goes on")
		}
		if got := g.refusal(0); got != "NOT_COORDINATOR" {
			t.Fatalf("answer %q", got)
		}
	})
}

func TestADeletedPartitionBeginsAgain(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.Resign(0, protocol.NoLeaderEpoch)
		p.moves(0, 0)
		g.Lead(0, 0, term{p, 0})
		if got := g.refusal(0); got != "" {
			t.Fatalf("answer %q", got)
		}
	})
}

func TestABadDecisionHurtsOnlyItself(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		release := g.busy(0)
		g.put(0, "a", "1")
		g.Write(0, func(*toy, time.Time) Effects {
			return g.effects("bad", Record{[]byte("b"), []byte("2")}, Record{[]byte("b"), []byte(bad)})
		}, func(err error) { t.Error(err) })
		g.put(0, "c", "3")
		release()
		expect(t, g.answers(), "bad UNKNOWN_SERVER_ERROR")
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "a=1", "c=3")
		p.commit(p.end)
		expect(t, g.answers(), "a=1 ok", "c=3 ok")
		if p.end != 2 {
			t.Fatalf("the log ends at %d", p.end)
		}
	})
}

func TestWhoeverElseWritesIsSeenByLoadingAgain(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		p.mu.Lock()
		p.add(build(batch.NewBuilder(), "x=9", "a=0"), 1)
		p.mu.Unlock()
		g.put(0, "a", "1")
		expect(t, g.answers(), "a=1 NOT_COORDINATOR")
		p.commit(3)
		now, _, _ := g.state(0)
		expectMap(t, "the state", now, "x=9", "a=1")
		g.put(0, "b", "2")
		synctest.Wait()
		p.commit(4)
		expect(t, g.answers(), "b=2 ok")
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	inBubble(t, Options[*toy]{MaxQueue: 3}, func(t *testing.T, g *rig, p *partition) {
		for _, v := range []string{"1", "2", "3", "4"} {
			g.put(0, "a", v)
		}
		expect(t, g.answers(), "a=4 refused COORDINATOR_NOT_AVAILABLE")
		p.commit(3)
		expect(t, g.answers(), "a=1 ok", "a=2 ok", "a=3 ok")
		g.put(0, "a", "5")
		p.commit(4)
		synctest.Wait()
		p.commit(4)
		expect(t, g.answers(), "a=5 ok")
	})
}

func TestReadAllTellsWhatCouldNotBeRead(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		var shards []int32
		var err error
		all := func() {
			t.Helper()
			shards, err = nil, errors.New("not done")
			g.ReadAll(func(shard int32, m *toy, _ protocol.Offset, _ time.Time) { shards = append(shards, shard) }, func(e error) { err = e })
			synctest.Wait()
			slices.Sort(shards)
		}
		g.lead(1, 1)
		g.lead(2, 1)
		g.Resign(2, 1)
		synctest.Wait()
		if all(); err != nil || !slices.Equal(shards, []int32{0, 1}) {
			t.Fatalf("shards %d, error %v", shards, err)
		}
		held := g.partition(3)
		held.add(build(batch.NewBuilder(), "a=1"), 0)
		held.commit(1)
		held.held = make(chan struct{})
		g.lead(3, 1)
		if all(); !errors.Is(err, kerr.CoordinatorLoadInProgress) || !slices.Equal(shards, []int32{0, 1}) {
			t.Fatalf("shards %d, error %v", shards, err)
		}
		close(held.held)
		synctest.Wait()
		if all(); err != nil || !slices.Equal(shards, []int32{0, 1, 3}) {
			t.Fatalf("shards %d, error %v", shards, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Options[*toy]{})
		defer g.close()
		done := false
		g.ReadAll(func(int32, *toy, protocol.Offset, time.Time) { t.Error("read") }, func(err error) { done = err == nil })
		if !done {
			t.Error("no answer without shards")
		}
	})
}

func TestCloseAnswersEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Options[*toy]{})
		g.lead(0, 1)
		synctest.Wait()
		g.put(0, "a", "1")
		synctest.Wait()
		g.close()
		expect(t, g.answers(), "a=1 NOT_COORDINATOR")
		if g.machine().closed == nil {
			t.Error("the machine was not closed")
		}
		g.put(0, "a", "2")
		g.Lead(0, 2, term{g.partition(0), 2})
		expect(t, g.answers(), "a=2 refused NOT_COORDINATOR")
		if got := g.refusal(0); got != "NOT_COORDINATOR" {
			t.Errorf("answer %q", got)
		}
	})
}

func TestShardsNobodyLeads(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		g.put(7, "a", "1")
		g.Resign(7, 3)
		expect(t, g.answers(), "a=1 refused NOT_COORDINATOR")
	})
}
