package group

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/log/timeline"
	"ottla/protocol"
)

// Topic is the internal topic that groups live in.
const Topic = "__consumer_offsets"

// Options of a Coordinator. Settings, Topics and Logger are needed.
type Options struct {
	Settings Settings
	Topics   Topics
	Logger   *slog.Logger
	Metrics  *runtime.Metrics // nil: shown nowhere
	Settle   func()           // see runtime.Options
	NewID    func() string    // makes the part of a member's id that tells it from all others; nil: a random UUID
}

// Coordinator answers for the groups of the partitions of __consumer_offsets that this broker leads. Its methods are safe for concurrent use and never wait, but for Close,
// Describe and Lags.
type Coordinator struct {
	Options
	runtime *runtime.Runtime[*Shard]
	shards  shards // the runtime; in tests a bench where time and commits are set by hand
}

// shards is what answers come from; see runtime.Runtime.
type shards interface {
	Write(shard int32, decide func(*Shard, time.Time) runtime.Effects, failed func(error))
	WriteLater(shard int32, decide func(*Shard, time.Time) runtime.Effects, failed func(error))
	Touch(shard int32, touch func(*Shard, time.Time), failed func(error))
	Read(shard int32, read func(*Shard, protocol.Offset, time.Time), failed func(error))
	ReadAll(read func(int32, *Shard, protocol.Offset, time.Time), done func(error))
}

// New starts a coordinator that leads nothing; Close ends its goroutines.
func New(o Options) *Coordinator {
	if o.NewID == nil {
		o.NewID = uuid
	}
	c := &Coordinator{Options: o}
	c.runtime = runtime.New(runtime.Options[*Shard]{
		Topic:      Topic,
		NewMachine: func(_ int32, t *timeline.Timeline) *Shard { return NewShard(o.Settings, o.Topics, o.NewID, t) },
		Logger:     o.Logger,
		Metrics:    o.Metrics,
		Linger:     o.Settings.Linger,
		Settle:     o.Settle,
	})
	c.shards = c.runtime
	return c
}

// Lead says that this broker leads a partition of __consumer_offsets; see runtime.Runtime.
func (c *Coordinator) Lead(shard int32, epoch protocol.LeaderEpoch, log runtime.PartitionLog) {
	c.runtime.Lead(shard, epoch, log)
}

// Resign says that it does not; see runtime.Runtime.
func (c *Coordinator) Resign(shard int32, epoch protocol.LeaderEpoch) { c.runtime.Resign(shard, epoch) }

// Lingers tells whether commits linger at present because there are many; see runtime.Runtime.
func (c *Coordinator) Lingers() bool { return c.runtime.Lingers() }

// Close answers whoever waits with NOT_COORDINATOR.
func (c *Coordinator) Close(ctx context.Context) error { return c.runtime.Close(ctx) }

// Submit answers a request of groups; see handlers.Groups.
func (c *Coordinator) Submit(client protocol.Client, req kmsg.Request, done func(kmsg.Response)) {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		c.commit(req, done)
	case *kmsg.OffsetFetchRequest:
		c.fetch(req, done)
	case *kmsg.JoinGroupRequest:
		c.join(client, req, done)
	case *kmsg.HeartbeatRequest:
		c.heartbeat(req, done)
	case *kmsg.LeaveGroupRequest:
		c.leave(req, done)
	case *kmsg.SyncGroupRequest:
		c.sync(req, done)
	case *kmsg.DescribeGroupsRequest:
		c.describe(req, done)
	case *kmsg.ListGroupsRequest:
		c.list(req, done)
	case *kmsg.DeleteGroupsRequest:
		c.deleteGroups(req, done)
	case *kmsg.OffsetDeleteRequest:
		c.deleteOffsets(req, done)
	default:
		panic(fmt.Sprintf("group: key %d is not one of groups", req.Key()))
	}
}

// on has then called with the shard of a group; failed instead if there is none.
func (c *Coordinator) on(group string, failed func(error), then func(shard int32)) {
	n := c.Topics.GroupPartitions()
	if n == 0 {
		failed(kerr.CoordinatorNotAvailable)
		return
	}
	then(protocol.Shard(group, int(n)))
}

// write takes a decision on the shard of a group.
func (c *Coordinator) write(group string, decide func(*Shard, time.Time) runtime.Effects, failed func(error)) {
	c.on(group, failed, func(shard int32) { c.shards.Write(shard, decide, failed) })
}

// writeLater takes a decision that may linger.
func (c *Coordinator) writeLater(group string, decide func(*Shard, time.Time) runtime.Effects, failed func(error)) {
	c.on(group, failed, func(shard int32) { c.shards.WriteLater(shard, decide, failed) })
}

// touch changes what is in no log.
func (c *Coordinator) touch(group string, touch func(*Shard, time.Time), failed func(error)) {
	c.on(group, failed, func(shard int32) { c.shards.Touch(shard, touch, failed) })
}

// read looks at the shard of a group.
func (c *Coordinator) read(group string, look func(*Shard, protocol.Offset, time.Time), failed func(error)) {
	c.on(group, failed, func(shard int32) { c.shards.Read(shard, look, failed) })
}

// TopicDeleted forgets what groups of this broker committed for a topic that is gone. What could not be written is logged: such an offset expires.
func (c *Coordinator) TopicDeleted(name string, id protocol.TopicID) {
	for shard := range c.Topics.GroupPartitions() {
		c.forgetTopic(shard, name, id)
	}
}

// forgetTopic goes on until there is nothing left to forget.
func (c *Coordinator) forgetTopic(shard int32, name string, id protocol.TopicID) {
	failed := func(err error) {
		if protocol.ErrorCode(err) != kerr.NotCoordinator.Code {
			c.Logger.Warn("offsets of a deleted topic stay until they expire", slog.String("topic", name), slog.Int("shard", int(shard)), slog.Any("error", err))
		}
	}
	c.shards.Write(shard, func(s *Shard, _ time.Time) runtime.Effects {
		e := s.topicDeleted(name, id)
		if e.Failed = failed; len(e.Records) > 0 {
			e.Committed = func() { c.forgetTopic(shard, name, id) }
		}
		return e
	}, failed)
}

// gather calls done when it was called n times itself; at once if n is 0. Calls may come from any goroutine.
func gather(n int, done func()) func() {
	if n == 0 {
		done()
	}
	rest := atomic.Int64{}
	rest.Store(int64(n))
	return func() {
		if rest.Add(-1) == 0 {
			done()
		}
	}
}

// uuid is a random id as Java writes them.
func uuid() string {
	id := protocol.NewID()
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
