package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// audience is the readers of one group in a bubble, and who of them has which partition. No partition has two, but for those of readers that are cut off, who do not know better.
type audience struct {
	t     testing.TB
	node  *node
	group string

	mu     sync.Mutex
	hosts  int
	owners map[string]*reader
}

// reader is one member of an audience, on a host of its own. Fields but the client and host are guarded by the audience's mu.
//
// It commits by itself each second: franz-go's own commits wait for a mutex while the client joins, and in a bubble time stands still for as long as anybody waits for one.
type reader struct {
	audience *audience
	cl       *kgo.Client
	host     string
	instance *string
	cut      bool
	owns     map[string]bool
	read     map[string]int64 // one past the last offset that it was given, by partition
	lost     int              // how often it was told that its partitions are others' already
	errs     []error
	stop     context.CancelFunc
	done     chan struct{}
}

func newAudience(t testing.TB, n *node, group string) *audience {
	return &audience{t: t, node: n, group: group, owners: map[string]*reader{}}
}

// joinStatic starts a reader with a name.
func (a *audience) joinStatic(instance string, opts ...kgo.Opt) *reader {
	a.t.Helper()
	r := a.join(append(opts, kgo.InstanceID(instance))...)
	a.mu.Lock()
	defer a.mu.Unlock()
	r.instance = &instance
	return r
}

// join starts a reader. Its session is 10 s, and it sends a heartbeat each second.
func (a *audience) join(opts ...kgo.Opt) *reader {
	a.t.Helper()
	a.mu.Lock()
	a.hosts++
	r := &reader{audience: a, host: fmt.Sprintf("10.1.%d.%d", a.hosts/250, a.hosts%250+1), owns: map[string]bool{}, read: map[string]int64{}, done: make(chan struct{})}
	a.mu.Unlock()
	base := []kgo.Opt{kgo.Dialer(a.node.network.Host(r.host)), kgo.ConsumerGroup(a.group), kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(20 * time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { r.assigned(p) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { r.gone(p, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { r.gone(p, true) })}
	cl, err := kgo.NewClient(append(append(slices.Clone(a.node.opts), base...), opts...)...)
	if err != nil {
		a.t.Fatal(err)
	}
	r.cl = cl
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.poll(ctx)
	return r
}

func (r *reader) poll(ctx context.Context) {
	defer close(r.done)
	for ctx.Err() == nil {
		second, cancel := context.WithTimeout(ctx, time.Second)
		fs := r.cl.PollFetches(second)
		cancel()
		if fs.IsClientClosed() {
			return
		}
		r.audience.mu.Lock()
		fs.EachError(func(_ string, _ int32, err error) { r.errs = append(r.errs, err) })
		fs.EachRecord(func(rec *kgo.Record) { r.read[partitionName(rec.Topic, rec.Partition)] = rec.Offset + 1 })
		req := r.commit()
		r.audience.mu.Unlock()
		if len(req.Topics) > 0 {
			_, _ = r.cl.Request(ctx, pinned{req, commitsByName}) // in a second it is tried again
		}
	}
}

// commitsByName is the last version of OffsetCommit that names topics.
const commitsByName = 9

// commit is a request to commit where it stands with the partitions that it has.
func (r *reader) commit() *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.InstanceID = r.audience.group, r.instance
	req.MemberID, req.Generation = r.cl.GroupMetadata()
	for name := range r.owns {
		if next, ok := r.read[name]; ok {
			cut := strings.LastIndexByte(name, '-')
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			n, _ := strconv.Atoi(name[cut+1:]) // partitionName made it
			p.Partition, p.Offset = int32(n), next
			req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{Topic: name[:cut], Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}})
		}
	}
	return req
}

func partitionName(topic string, partition int32) string {
	return fmt.Sprintf("%s-%d", topic, partition)
}

func (r *reader) assigned(partitions map[string][]int32) {
	a := r.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	for topic, ps := range partitions {
		for _, p := range ps {
			name := partitionName(topic, p)
			if o := a.owners[name]; o != nil && o != r && !o.cut && !r.cut {
				a.t.Errorf("%s is given to %s while %s has it", name, r.host, o.host)
			}
			a.owners[name] = r
			r.owns[name] = true
			delete(r.read, name)
		}
	}
}

func (r *reader) gone(partitions map[string][]int32, lost bool) {
	a := r.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	if lost {
		r.lost++
	}
	for topic, ps := range partitions {
		for _, p := range ps {
			name := partitionName(topic, p)
			delete(r.owns, name)
			if a.owners[name] == r {
				delete(a.owners, name)
			}
		}
	}
}

// leave ends a reader: a dynamic member says so to the group, a static one does not.
func (r *reader) leave() {
	r.stop()
	<-r.done
	r.cl.Close()
	a := r.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range r.owns {
		delete(r.owns, name)
		if a.owners[name] == r {
			delete(a.owners, name)
		}
	}
}

// setCut cuts a reader off: nothing that it says or is told arrives. Or connects it again.
func (r *reader) setCut(cut bool) {
	a := r.audience
	a.mu.Lock()
	r.cut = r.cut || cut // until it knows better
	a.mu.Unlock()
	if cut {
		a.node.network.Cut(r.host, bubbleHost)
	} else {
		a.node.network.Heal(r.host, bubbleHost)
	}
}

func (r *reader) partitions() []string {
	r.audience.mu.Lock()
	defer r.audience.mu.Unlock()
	return slices.Sorted(maps.Keys(r.owns))
}

// share tells whether the readers, each of which has some, have these partitions between them.
func share(readers []*reader, partitions []string) bool {
	var all []string
	for _, r := range readers {
		own := r.partitions()
		if len(own) == 0 && len(readers) <= len(partitions) {
			return false
		}
		all = append(all, own...)
	}
	slices.Sort(all)
	return slices.Equal(all, slices.Sorted(slices.Values(partitions)))
}

// await waits, in the bubble's time, until the condition holds, and tells how long that took.
func await(t testing.TB, most time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		took := time.Since(began)
		switch {
		case holds():
			return took
		case took > most:
			t.Fatalf("%s: not within %v", what, most)
		}
	}
}

// awaitShared waits until the readers share the partitions, and for two seconds more, in which nothing changes.
func awaitShared(t testing.TB, most time.Duration, readers []*reader, partitions []string) time.Duration {
	t.Helper()
	took := await(t, most, fmt.Sprintf("%d readers share %d partitions", len(readers), len(partitions)), func() bool { return share(readers, partitions) })
	time.Sleep(2 * time.Second)
	if !share(readers, partitions) {
		t.Fatal("it was shared for a moment only")
	}
	return took
}

// partitionsOf names the partitions of topics that have n each.
func partitionsOf(n int, topics ...string) []string {
	var names []string
	for _, topic := range topics {
		for p := range n {
			names = append(names, partitionName(topic, int32(p)))
		}
	}
	return names
}
