package controller

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/log/vfs"
	"ottla/protocol"
)

func TestFounding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		n := start(t, fs, Options{Features: map[string]int16{"metadata.version": 3}})
		img := n.Image()
		if img.ClusterID() != "the-cluster" || img.ControllerID() != 1 || img.Feature("metadata.version") != 3 {
			t.Errorf("cluster %q, controller %d, feature %d", img.ClusterID(), img.ControllerID(), img.Feature("metadata.version"))
		}
		offset := img.Offset()
		n.stop(t)
		n = start(t, fs, Options{})
		if img := n.Image(); img.ClusterID() != "the-cluster" || img.Offset() != offset+1 {
			t.Errorf("after the restart: cluster %q, offset %d after %d", img.ClusterID(), img.Offset(), offset)
		}
		n.stop(t)
		if _, err := open(fs, Options{ClusterID: "another"}); !errors.Is(err, ErrOtherCluster) {
			t.Errorf("opened as another cluster: %v", err)
		}
	})
}

// TestRestart: the image after a restart, clean or not, is the one before it, and the first delta holds all of it.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		n := start(t, fs, Options{})
		epoch := n.register(t)
		for i := range 5 {
			n.create(t, fmt.Sprint("topic-", i))
		}
		ask[*kmsg.DeleteTopicsResponse](t, n, deleteTopic("topic-3"))
		if b := n.Image().Broker(1); b == nil || b.Epoch != epoch {
			t.Errorf("broker %+v, want epoch %d", b, epoch)
		}
		before := contents(n.Image())
		crashed := fs.CrashClone(nil, 0)
		n.stop(t)
		for name, fs := range map[string]*vfs.Mem{"clean": fs, "crash": crashed} {
			n := start(t, fs, Options{})
			if !bytes.Equal(contents(n.Image()), before) {
				t.Errorf("%s: %v", name, topicNames(n.Image()))
			}
			synctest.Wait()
			if n.deltas != 1 || n.followed != n.Image() {
				t.Errorf("%s: %d deltas", name, n.deltas)
			}
			n.stop(t)
		}
	})
}

// TestPublished: who is told by Published finds the change in Image; a subscriber does not yet.
func TestPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *node
		var told, early int
		n, err := open(vfs.NewMem(), Options{Published: func(img *image.Image, d *image.Delta) {
			if n.Image() != img {
				t.Error("Image does not show what is published")
			}
			if len(d.Topics) > 0 {
				told++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		n.Subscribe(func(img *image.Image, _ *image.Delta) {
			if n.Image() == img {
				early++
			}
		})
		n.run()
		<-n.ready
		n.register(t)
		n.create(t, "a-topic")
		n.stop(t)
		if told != 1 || early != 0 {
			t.Errorf("told %d times of a topic; %d changes were seen before the subscribers had them", told, early)
		}
	})
}

// TestIdle: a sole voter has no timer that would keep a bubble, or a battery, busy.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{})
		n.register(t)
		time.Sleep(30 * 24 * time.Hour)
		n.create(t, "later")
		n.stop(t)
	})
}

// TestOrder: requests see those before them, committed or not, and are answered in order; those without records not before what they saw is committed.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{})
		n.register(t)
		var got []string
		note := func(name string) func(kmsg.Response, error) {
			return func(resp kmsg.Response, err error) {
				code := int16(0)
				if err == nil {
					code = resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
				}
				exists := n.Image().Topic("a") != nil
				got = append(got, fmt.Sprintf("%s: error %d, %v, exists %v", name, code, err, exists))
			}
		}
		n.Submit(protocol.Anonymous, createTopics(false, "a"), note("create"))
		n.Submit(protocol.Anonymous, createTopics(false, "a"), note("again"))
		n.Submit(protocol.Anonymous, createTopics(true, "b"), note("validate"))
		synctest.Wait()
		want := []string{
			"create: error 0, <nil>, exists true",
			"again: error 36, <nil>, exists true",
			"validate: error 0, <nil>, exists true",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if names := topicNames(n.Image()); !slices.Equal(names, []string{"a"}) {
			t.Errorf("topics %q", names)
		}
		n.stop(t)
	})
}

// hookFS calls before each sync what the test wants.
type hookFS struct {
	*vfs.Mem
	before func()
}

type hookFile struct {
	vfs.File
	before func()
}

func (f hookFile) Sync() error     { f.before(); return f.File.Sync() }
func (f hookFile) SyncData() error { f.before(); return f.File.SyncData() }

func (h hookFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hookFile{f, h.before}, nil
}

func (h hookFS) Create(name string) (vfs.File, error) { return h.wrap(h.Mem.Create(name)) }
func (h hookFS) Open(name string) (vfs.File, error)   { return h.wrap(h.Mem.Open(name)) }
func (h hookFS) SyncDir(dir string) error             { h.before(); return h.Mem.SyncDir(dir) }

// TestNothingAcknowledgedIsLost keeps the disk as a power cut before each sync would leave it, with what had been answered by then, and starts a node from every
// one of them.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type cut struct {
			fs    *vfs.Mem
			topic map[string]bool // what was answered: there, or deleted
		}
		rng, requests := rand.New(rand.NewPCG(5, 5)), rand.New(rand.NewPCG(5, 6))
		mem := vfs.NewMem()
		var mu sync.Mutex // of what follows, and rng: the driver, the flusher and the snapshot's writer all sync
		var cuts []cut
		acknowledged := map[string]bool{}
		inFlight := ""
		note := func(name string, in string) {
			mu.Lock()
			defer mu.Unlock()
			if name != "" {
				acknowledged[name] = !acknowledged[name]
			}
			inFlight = in
		}
		before := func() {
			mu.Lock()
			defer mu.Unlock()
			known := map[string]bool{}
			for name, there := range acknowledged {
				if name != inFlight {
					known[name] = there
				}
			}
			cuts = append(cuts, cut{mem.CrashClone(nil, 0), known}, cut{mem.CrashClone(rng, rng.Float64()), known})
		}
		o := Options{SnapshotEntries: 10}
		n := start(t, hookFS{mem, before}, o)
		n.register(t)
		for i := range 30 {
			name := fmt.Sprint("topic-", requests.IntN(12))
			note("", name)
			if n.Image().Topic(name) == nil {
				n.create(t, name)
			} else {
				ask[*kmsg.DeleteTopicsResponse](t, n, deleteTopic(name))
			}
			note(name, "")
			if i%7 == 0 {
				synctest.Wait() // let a snapshot come to its end
			}
		}
		synctest.Wait()
		n.stop(t)
		if n.storage.SnapshotMetadata() == nil {
			t.Error("no snapshot was written")
		}
		for i, c := range cuts {
			n := start(t, c.fs, o)
			for name, there := range c.topic {
				if (n.Image().Topic(name) != nil) != there {
					t.Errorf("power cut %d: topic %s there: %v, acknowledged %v", i, name, !there, there)
				}
			}
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d power cuts", len(cuts))
	})
}

// TestSnapshot: a restart reads the snapshot and what follows it, and the log forgets what it holds.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		o := Options{SnapshotEntries: 8}
		n := start(t, fs, o)
		n.register(t)
		for i := range 21 {
			n.create(t, fmt.Sprint("topic-", i))
			synctest.Wait()
		}
		before := contents(n.Image())
		n.stop(t)
		m := n.storage.SnapshotMetadata()
		first, _ := n.storage.FirstIndex()
		if m.GetIndex() < 16 || first != m.GetIndex()+1 {
			t.Errorf("snapshot at %d, first entry %d", m.GetIndex(), first)
		}
		n = start(t, fs, o)
		if !bytes.Equal(contents(n.Image()), before) {
			t.Errorf("%v", topicNames(n.Image()))
		}
		n.create(t, "more")
		n.stop(t)
	})
}

// TestReplayIsLive runs random requests, restarting now and then, and compares the image with one replayed from the start.
func TestReplayIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(6, 6))
		fs := vfs.NewMem()
		for round := range 6 {
			n := start(t, fs, Options{SnapshotEntries: uint64(5 + 100*(round%2))})
			n.register(t)
			for range 20 {
				name := fmt.Sprint("topic-", rng.IntN(8))
				var req kmsg.Request = createTopics(rng.IntN(4) == 0, name)
				if rng.IntN(3) == 0 {
					req = deleteTopic(name)
				}
				n.Submit(protocol.Anonymous, req, func(kmsg.Response, error) {})
			}
			synctest.Wait()
			live := contents(n.Image())
			crashed := fs.CrashClone(rng, 0.5)
			n.stop(t)
			again := start(t, crashed, Options{})
			if !bytes.Equal(contents(again.Image()), live) {
				t.Fatalf("round %d: replayed %v, live %v", round, topicNames(again.Image()), topicNames(n.Image()))
			}
			if err := again.halt(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := open(vfs.NewMem(), Options{MaxQueued: 2})
		if err != nil {
			t.Fatal(err)
		}
		var errs []error
		for range 3 {
			n.Submit(protocol.Anonymous, createTopics(true, "a"), func(_ kmsg.Response, err error) { errs = append(errs, err) })
		}
		if len(errs) != 1 || !errors.Is(errs[0], kerr.RequestTimedOut) {
			t.Errorf("%v", errs)
		}
		n.run()
		synctest.Wait()
		if len(errs) != 3 || errs[1] != nil || errs[2] != nil {
			t.Errorf("%v", errs)
		}
		n.stop(t)
		n.Submit(protocol.Anonymous, createTopics(true, "a"), func(_ kmsg.Response, err error) { errs = append(errs, err) })
		if len(errs) != 4 || !errors.Is(errs[3], kerr.NotController) {
			t.Errorf("after the stop: %v", errs)
		}
	})
}

// TestDiskFailure: the process cannot go on without its metadata, and nobody is told of success.
func TestDiskFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		n := start(t, faulty, Options{})
		n.register(t)
		broken := errors.New("broken")
		faulty.Set(vfs.Rule{Ops: vfs.OpSync, Path: ".log", Err: broken})
		answers := make(chan error, 1)
		n.Submit(protocol.Anonymous, createTopics(false, "a"), func(_ kmsg.Response, err error) { answers <- err })
		if err := <-n.ended; !errors.Is(err, broken) && !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("run ended with %v", err)
		}
		if got := <-answers; !errors.Is(got, kerr.NotController) { // the store may have ended first
			t.Errorf("the request got %v", got)
		}
		n.cancel()
		<-n.ended
	})
}

func TestDamageIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		n := start(t, fs, Options{})
		n.register(t)
		n.create(t, "a")
		crashed := fs.CrashClone(nil, 1)
		n.stop(t)
		if err := crashed.Remove("quorum/quorum-state"); err != nil {
			t.Fatal(err)
		}
		if _, err := open(crashed, Options{}); !errors.Is(err, raftlog.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})
}

// TestExcessiveRequestsAreRefused: a request is one entry or nothing. Had it been cut, a crash could leave a topic without partitions.
func TestExcessiveRequestsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{})
		defer n.stop(t)
		n.register(t)
		req := createTopics(false)
		value := strings.TrimSuffix(strings.Repeat("0:1,", 8000), ",")
		for i := range 600 {
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = fmt.Sprintf("topic-%d", i), 1, 1
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = "leader.replication.throttled.replicas", &value
			topic.Configs = append(topic.Configs, config)
			req.Topics = append(req.Topics, topic)
		}
		answers := make(chan answer, 1)
		n.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
		if a := <-answers; !errors.Is(a.err, kerr.PolicyViolation) || n.Image().TopicCount() != 0 {
			t.Fatalf("%v, and %d topics", a.err, n.Image().TopicCount())
		}
		n.create(t, "small")
	})
}
