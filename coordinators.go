package ottla

import (
	"context"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/group"
	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
	"ottla/protocol/handlers"
	"ottla/replica"
)

// openCoordinators makes the coordinators of groups, which follow the leaderships of __consumer_offsets. It comes before the controller runs, whose image they follow.
func (n *Node) openCoordinators() {
	n.groups = group.New(group.Options{Settings: group.SettingsOf(n.values()), Topics: groupTopics{n}, Logger: n.Logger, Metrics: n.metrics.groups, Settle: n.store.Settle})
	n.controller.Subscribe(n.followGroups)
	var once sync.Once
	n.endGroups = func(ctx context.Context) (err error) {
		once.Do(func() { err = n.groups.Close(ctx) })
		return err
	}
	n.closing = append(n.closing, n.endGroups)
	n.metrics.showLag(n.groups)
	if n.operators != nil {
		n.operators.mux.Handle("GET /groups", handlers.ExplainGroups(explainer{n.groups}))
	}
}

// followGroups tells the coordinators what they lead, and which topics are gone.
func (n *Node) followGroups(_ *image.Image, d *image.Delta) {
	for _, c := range d.Topics {
		switch {
		case c.New == nil && c.Old.Name == group.Topic:
			for i := range c.Old.Partitions {
				n.groups.Resign(int32(i), protocol.NoLeaderEpoch)
			}
		case c.New == nil:
			n.groups.TopicDeleted(c.Old.Name, c.Old.ID)
		case c.New.Name == group.Topic:
			for i := range c.New.Partitions {
				n.followShard(c.New, int32(i))
			}
		}
	}
}

func (n *Node) followShard(t *image.Topic, shard int32) {
	state := &t.Partitions[shard]
	if state.Leader != n.id {
		n.groups.Resign(shard, state.LeaderEpoch)
		return
	}
	l, err := n.replicas.Leadership(t.ID, shard, state.LeaderEpoch)
	if err != nil {
		n.Logger.Error("no log for a coordinator", slog.Int("shard", int(shard)), slog.Any("error", err))
		return
	}
	n.groups.Lead(shard, state.LeaderEpoch, l)
}

// patience lets requests of groups' members gather while commits do.
type patience struct{ n *Node }

func (p patience) Patient(key int16) bool {
	return key == int16(kmsg.OffsetCommit) || key == int16(kmsg.Heartbeat)
}

func (p patience) Worthwhile() bool { return p.n.doors.open.Load() && p.n.groups.Lingers() }

// groupTopics is what the coordinators of groups ask of the rest of the node.
type groupTopics struct{ n *Node }

var _ group.Topics = groupTopics{}

func (g groupTopics) ID(name string) (protocol.TopicID, bool) {
	if t := g.n.controller.Image().Topic(name); t != nil {
		return t.ID, true
	}
	return protocol.TopicID{}, false
}

func (g groupTopics) Name(id protocol.TopicID) (string, bool) {
	if t := g.n.controller.Image().TopicByID(id); t != nil {
		return t.Name, true
	}
	return "", false
}

func (g groupTopics) GroupPartitions() int32 {
	if t := g.n.controller.Image().Topic(group.Topic); t != nil {
		return int32(len(t.Partitions))
	}
	return 0
}

// leader is the partition if this broker leads it.
func (g groupTopics) leader(tp protocol.TopicPartition) (*replica.Partition, error) {
	t := g.n.controller.Image().Topic(tp.Topic)
	if t == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	return g.n.replicas.Leader(t.ID, tp.Partition)
}

func (g groupTopics) Bounds(tp protocol.TopicPartition) (start, end protocol.Offset, known bool) {
	p, err := g.leader(tp)
	if err != nil {
		return 0, 0, false
	}
	o := p.Offsets()
	return o.LogStart, o.HighWatermark, true
}

// maxInflated bounds what a batch may inflate to while a timestamp is looked for.
const maxInflated = 256 << 20

func (g groupTopics) Timestamp(tp protocol.TopicPartition, at protocol.Offset) (int64, error) {
	p, err := g.leader(tp)
	if err != nil {
		return protocol.NoTimestamp, err
	}
	var found log.ReadResult
	if err := p.Read(log.ReadOptions{From: at, AtLeastOne: true, CurrentEpoch: protocol.NoLeaderEpoch, LastFetchedEpoch: protocol.NoLeaderEpoch}, &found); err != nil {
		return protocol.NoTimestamp, err
	}
	if found.Range.Source == nil {
		return protocol.NoTimestamp, nil
	}
	defer found.Range.Source.Release()
	raw := make([]byte, found.Range.Size)
	if _, err := found.Range.Source.ReadAt(raw, found.Range.Position); err != nil {
		return protocol.NoTimestamp, err
	}
	r, err := batch.NewReader(raw, maxInflated)
	if err != nil {
		return protocol.NoTimestamp, err
	}
	defer r.Close()
	var rec batch.Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return protocol.NoTimestamp, err
		}
		if rec.Offset >= at {
			return rec.Timestamp, nil
		}
	}
}

// explainer shows operators a group in the handlers' words.
type explainer struct{ groups *group.Coordinator }

func (e explainer) Explain(ctx context.Context, name string) (handlers.GroupExplanation, error) {
	d, err := e.groups.Describe(ctx, name)
	if err != nil {
		return handlers.GroupExplanation{}, err
	}
	out := handlers.GroupExplanation{Group: d.Group, State: d.State, Since: d.Since, Generation: d.Generation, Leader: d.Leader, Members: []handlers.ExplainedMember{}}
	for _, m := range d.Members {
		shown := handlers.ExplainedMember{ID: m.ID, ClientID: m.Client.ID, Host: m.Client.Host, Joined: m.Joined, Awaited: m.Awaited}
		if m.Instance != "" {
			shown.InstanceID = &m.Instance
		}
		out.Members = append(out.Members, shown)
	}
	if r := d.Rebalance; !r.Began.IsZero() {
		out.Rebalance = &handlers.ExplainedRebalance{Reason: r.Reason, Began: r.Began, Ended: r.Ended, Deadline: d.Until}
	}
	return out, nil
}
