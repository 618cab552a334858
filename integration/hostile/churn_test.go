package hostile

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// holdings is what a process has open.
type holdings struct {
	goroutines, files int
	heap              uint64
}

func holds(t *testing.T) holdings {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what pools kept through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

// round is what a crowd of clients does in a short life: some produce, some read as a group that is deleted in the end, some break off in the middle of things.
func (v *victim) round(t *testing.T) {
	t.Helper()
	const group = "churn" // always the same: each partition of the offsets that is written to has files
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			cl, err := kgo.NewClient(kgo.SeedBrokers(v.address), kgo.DefaultProduceTopic("good"))
			if err != nil {
				t.Error(err)
				return
			}
			defer cl.Close()
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Go(func() {
		cl, err := kgo.NewClient(kgo.SeedBrokers(v.address), kgo.ConsumerGroup(group), kgo.ConsumeTopics("good"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Error(err)
			return
		}
		defer cl.Close()
		if f := cl.PollRecords(t.Context(), 1); f.Err() != nil {
			t.Error(f.Err())
		}
		if err := cl.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for range 20 { // a long poll, half a frame, and away
		c := v.dial(t)
		fetch := fetching("good")
		fetch.MinBytes, fetch.MaxWaitMillis, fetch.Topics[0].Partitions[0].FetchOffset = 1<<20, 60_000, 0
		b := kmsg.NewRequestFormatter().AppendRequest(nil, fetch, 1)
		c.write(append(b, b[:20]...))
		_ = c.Close()
	}
	clients.Wait()
	adm := kadm.NewClient(v.good)
	if rs, err := adm.DeleteGroups(t.Context(), group); err != nil || rs[group].Err != nil {
		t.Errorf("delete %s: %v, %v", group, err, rs[group].Err)
	}
}

// TestE08Churn: clients come and go, with their groups and half-made requests; nothing of them stays.
func TestE08Churn(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	v := startVictim(t, with(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	v.serves(t)
	for range 3 { // pools and the topic of the offsets are filled
		v.round(t)
	}
	before := holds(t)
	for range rounds {
		v.round(t)
	}
	v.serves(t)
	const slack = 10 // goroutines and files of idle connections of the good client, and of what the node does once in a while
	deadline := time.Now().Add(patience)
	for {
		after := holds(t)
		if after.goroutines <= before.goroutines+slack && after.files <= before.files+slack && after.heap <= before.heap+8<<20 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v before %d rounds, %+v after", before, rounds, after)
		}
		runtime.Gosched()
	}
}
