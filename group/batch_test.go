package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// together is a runtime in which operations share one append, which fails.
type together struct {
	*bench
	effects []runtime.Effects
}

func (a *together) Write(_ int32, decide func(*Shard, time.Time) runtime.Effects, _ func(error)) {
	e := decide(a.shard, a.now)
	for n, r := range e.Records {
		if err := a.shard.Apply(protocol.Offset(len(a.log)+n), lent(r)); err != nil {
			a.t.Fatal(err)
		}
	}
	a.effects = append(a.effects, e)
}

func (a *together) fail(err error) {
	a.timeline.Revert(int64(len(a.log)))
	for _, e := range a.effects {
		if e.Failed != nil {
			e.Failed(err)
		}
	}
}

// The last member leaves and the group is deleted, and neither gets into the log: the member is still there for the next coordinator, so it has to be for this one.
func TestAMemberWhoseDepartureAndGroupsEndAreLostIsStillThere(t *testing.T) {
	s := newScript(t)
	for _, command := range []string{"join a instance=i", "advance 3s", "sync a a:1 instance=i"} {
		s.run(command)
	}
	a := &together{bench: s.bench}
	s.bench.c.shards = a
	s.run("leave - instance=i")
	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = []string{"g"}
	s.bench.c.Submit(protocol.Client{}, remove, func(kmsg.Response) {})
	a.fail(kerr.CoordinatorNotAvailable)
	s.bench.c.shards = s.bench

	s.out.Reset()
	for _, command := range []string{"join b", "join b", "advance 60s"} {
		s.run(command)
	}
	if s.client("b").generation != 2 {
		t.Errorf("b is in generation %d:\n%s", s.client("b").generation, s.out.String())
	}
}
