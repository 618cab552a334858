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

	"ottla/integration/process"
)

// loadOffsets starts a node of its own over offsets that many groups have committed. Its CPU is that of the whole start.
type loadOffsets struct{ groups, partitions int }

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
	second, err := serve(ctx, filepath.Join(dir, "data"), address)
	if err != nil {
		return work{}, err
	}
	defer func() { err = errors.Join(err, second.Stop(ctx)) }()
	listening := time.Now()
	if err := l.awaitAll(ctx, second, topic, groups); err != nil {
		return work{}, err
	}
	did.requests, did.counted.seconds = 1, time.Since(listening).Seconds()
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
	c, err := call(ctx, b.address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for n := range groups {
		req := commitOf(&member{group: groupName(topic, n), generation: -1}, topic, 0)
		for i := 1; i < l.partitions; i++ {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset = int32(i), int64(i)
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
		}
		for answered := false; !answered; {
			resp, err := c.ask(req)
			if err != nil {
				return err
			}
			err = kerr.ErrorForCode(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[l.partitions-1].ErrorCode)
			if answered = err == nil; err != nil && !kerr.IsRetriable(err) {
				return fmt.Errorf("commit: %w", err)
			}
		}
	}
	return nil
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
