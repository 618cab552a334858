package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"ottla/integration/process"
)

// loadOffsets starts a node of its own over offsets that many groups have committed. What counts is the whole start, from the process on.
type loadOffsets struct {
	groups, partitions int
	each               int // partitions in one commit, which is one batch of the log
}

// fillers is how many connections commit side by side: commits wait for the disk together.
const fillers = 32

func (l loadOffsets) run(ctx context.Context, _ broker, topic string) (did work, err error) {
	dir, err := os.MkdirTemp("", "ottla-bench")
	if err != nil {
		return work{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	address, err := process.FreeAddress()
	if err != nil {
		return work{}, err
	}
	groups := max(int(float64(l.groups)**scale), 1)
	first, err := serve(ctx, filepath.Join(dir, "data"), address)
	if err != nil {
		return work{}, err
	}
	err = errors.Join(l.fill(ctx, first, topic, groups), first.Stop(ctx))
	if err != nil {
		return work{}, err
	}
	began := time.Now()
	second, err := serve(ctx, filepath.Join(dir, "data"), address)
	if err != nil {
		return work{}, err
	}
	defer func() { err = errors.Join(err, second.Stop(ctx)) }()
	if err := l.awaitAll(ctx, second, topic, groups); err != nil {
		return work{}, err
	}
	did.requests, did.counted.seconds = 1, time.Since(began).Seconds()
	did.counted.usage, err = usageOf(second)
	return did, err
}

func groupName(topic string, n int) string { return fmt.Sprint(topic, "-", n) }

// fill commits an offset of every partition for every group.
func (l loadOffsets) fill(ctx context.Context, b broker, topic string, groups int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(l.partitions), 1, nil, topic); err != nil {
		return err
	}
	if err := awaitCoordinator(ctx, b.address); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for first := range fillers {
		g.Go(func() error {
			c, err := call(ctx, b.address)
			if err != nil {
				return err
			}
			defer c.conn.Close()
			for n := first; n < groups; n += fillers {
				if err := l.commitAll(c, topic, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// commitAll commits each partition's number as its offset for one group.
func (l loadOffsets) commitAll(c *caller, topic string, group int) error {
	for from := 0; from < l.partitions; from += l.each {
		req := commitOf(&member{group: groupName(topic, group), generation: -1}, topic, 0)
		partitions := &req.Topics[0].Partitions
		*partitions = (*partitions)[:0]
		for i := from; i < min(from+l.each, l.partitions); i++ {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset = int32(i), int64(i)
			*partitions = append(*partitions, p)
		}
		if err := commitUntilTaken(c, req); err != nil {
			return err
		}
	}
	return nil
}

// commitUntilTaken sends req again while the coordinator is not ready.
func commitUntilTaken(c *caller, req *kmsg.OffsetCommitRequest) error {
	for {
		resp, err := c.ask(req)
		if err != nil {
			return err
		}
		partitions := resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions
		err = kerr.ErrorForCode(partitions[len(partitions)-1].ErrorCode)
		switch {
		case err == nil:
			return nil
		case !kerr.IsRetriable(err):
			return fmt.Errorf("commit: %w", err)
		}
	}
}

// awaitAll asks for one offset of every group until each has answered with it.
func (l loadOffsets) awaitAll(ctx context.Context, b broker, topic string, groups int) error {
	c, err := call(ctx, b.address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	last := int32(l.partitions - 1)
	for n := 0; n < groups; {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = topic, []int32{last}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group, req.Topics = 7, groupName(topic, n), append(req.Topics, t)
		answer, err := c.ask(req)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.OffsetFetchResponse)
		switch err := kerr.ErrorForCode(resp.ErrorCode); {
		case err == nil:
			if at := resp.Topics[0].Partitions[0].Offset; last > 0 && at != int64(last) {
				return fmt.Errorf("group %d has offset %d of partition %d", n, at, last)
			}
			n++
		case kerr.IsRetriable(err):
			time.Sleep(5 * time.Millisecond)
		default:
			return fmt.Errorf("fetch: %w", err)
		}
	}
	return nil
}
