package group

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/classic"
	"ottla/group/offsets"
	"ottla/protocol"
)

// Description is a group as `ottla group describe` and `explain` show it.
type Description struct {
	classic.View
	// Partitions are those that the group has an offset for or that a member of a consumer group has been given, by topic and partition.
	Partitions []PartitionLag
}

// PartitionLag is how far a group is with a partition.
type PartitionLag struct {
	protocol.TopicPartition
	Group     string
	Owner     string         // member id; empty if nobody has it
	Committed offsets.Commit // Offset is -1 if there is none
	End       protocol.Offset
	// Records is how many records the group has not read: 0 or more, Unknown if this broker cannot tell or nothing is committed.
	Records int64
	// Age is how long ago the first of them was written, by its timestamp: 0 if there is none, Unknown if that cannot be told.
	Age time.Duration
}

// Unknown stands for a lag that cannot be told.
const Unknown = -1

// Describe shows a group of this broker. GROUP_ID_NOT_FOUND, or the coordinator's errors. It waits for the group's shard, and may read disks.
func (c *Coordinator) Describe(ctx context.Context, group string) (Description, error) {
	type answer struct {
		d   Description
		now time.Time
		err error
	}
	answers := make(chan answer, 1)
	c.read(group, func(s *Shard, committed protocol.Offset, now time.Time) {
		v, ok := s.groups.View(committed, group)
		if !ok {
			answers <- answer{err: protocol.Errorf(kerr.GroupIDNotFound, "Group %s not found.", group)}
			return
		}
		answers <- answer{d: Description{View: v, Partitions: s.partitions(committed, group)}, now: now}
	}, func(err error) { answers <- answer{err: err} })
	select {
	case <-ctx.Done():
		return Description{}, fmt.Errorf("describe group %q: %w", group, ctx.Err())
	case a := <-answers:
		if a.err == nil {
			a.d.own()
			c.measure(ctx, a.d.Partitions, a.now)
		}
		return a.d, a.err
	}
}

// Lags shows every partition of every group of this broker. It waits for the shards, and may read disks. A shard that is not loaded yet makes it an error.
func (c *Coordinator) Lags(ctx context.Context) ([]PartitionLag, error) {
	var all []PartitionLag
	var asOf time.Time
	read := make(chan error, 1)
	c.shards.ReadAll(func(_ int32, s *Shard, committed protocol.Offset, now time.Time) {
		asOf = now
		for id := range s.groups.IDs() {
			all = append(all, s.partitions(committed, id)...)
		}
	}, func(err error) { read <- err })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("lags of groups: %w", ctx.Err())
	case err := <-read:
		if err != nil {
			return nil, err
		}
		c.measure(ctx, all, asOf)
		return all, nil
	}
}

// partitions are what a group has committed, but for topics that were there before another of their name.
func (s *Shard) partitions(committed protocol.Offset, group string) []PartitionLag {
	var out []PartitionLag
	for tp, commit := range s.offsets.All(committed, group) {
		if id, ok := s.topics.ID(tp.Topic); !ok || commit.Meant(id) {
			out = append(out, PartitionLag{TopicPartition: tp, Group: group, Committed: commit})
		}
	}
	slices.SortFunc(out, byPartition)
	return out
}

func byPartition(a, b PartitionLag) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// own fills in who has which partition, where members are consumers.
func (d *Description) own() {
	if d.ProtocolType != classic.ConsumerType {
		return
	}
	at := make(map[protocol.TopicPartition]int, len(d.Partitions))
	for n, p := range d.Partitions {
		at[p.TopicPartition] = n
	}
	for _, m := range d.Members {
		var a kmsg.ConsumerMemberAssignment
		if len(m.Assignment) == 0 || a.ReadFrom(m.Assignment) != nil {
			continue // the client's own format: nothing to say about it
		}
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				tp := protocol.TopicPartition{Topic: topic.Topic, Partition: p}
				n, ok := at[tp]
				if !ok {
					n, at[tp] = len(d.Partitions), len(d.Partitions)
					d.Partitions = append(d.Partitions, PartitionLag{TopicPartition: tp, Group: d.Group, Committed: offsets.Commit{Offset: protocol.NoOffset}})
				}
				d.Partitions[n].Owner = m.ID
			}
		}
	}
	slices.SortFunc(d.Partitions, byPartition)
}

// measure fills in the lags. When ctx ends no more disks are read: ages are unknown from there on.
func (c *Coordinator) measure(ctx context.Context, all []PartitionLag, now time.Time) {
	for n := range all {
		p := &all[n]
		start, end, known := c.Topics.Bounds(p.TopicPartition)
		p.End, p.Records, p.Age = end, Unknown, Unknown
		if !known {
			p.End = protocol.NoOffset
			continue
		}
		if p.Committed.Offset == protocol.NoOffset {
			continue
		}
		next := max(p.Committed.Offset, start) // what was deleted unread is not there to be read
		if p.Records = int64(max(end-next, 0)); p.Records == 0 {
			p.Age = 0
		} else if ctx.Err() != nil {
			continue
		} else if ms, err := c.Topics.Timestamp(p.TopicPartition, next); err == nil && ms != protocol.NoTimestamp {
			p.Age = max(now.Sub(time.UnixMilli(ms)), 0)
		}
	}
}
