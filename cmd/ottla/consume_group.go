package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// audience is this process as a member of a group: which partitions it has been given.
type audience struct {
	mu    sync.Mutex
	given bool // it has had an assignment, be it of nothing
	owned map[int32]bool
}

func (a *audience) own(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.change(topics, func(p int32) { a.owned[p] = true })
}

func (a *audience) lose(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.change(topics, func(p int32) { delete(a.owned, p) })
}

func (a *audience) change(topics map[string][]int32, f func(int32)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = true
	for _, partitions := range topics {
		for _, p := range partitions {
			f(p)
		}
	}
}

// passed tells whether nothing is left of the spans of the partitions that the member has. What other members read is theirs to end.
func (a *audience) passed(spans map[int32]*span) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.owned {
		if spans[p] != nil {
			return false
		}
	}
	return a.given
}

// groupOffset reads --offset where a group has committed nothing: anything between has to be said to the group itself (group reset-offsets).
func (f *consumeFlags) groupOffset() (kgo.Offset, error) {
	switch f.offset {
	case "start":
		return kgo.NewOffset().AtStart(), nil
	case "end":
		return kgo.NewOffset().AtEnd(), nil
	}
	return kgo.Offset{}, fmt.Errorf("--offset %s: with --group it is start or end, for partitions without a committed offset; 'ottla group reset-offsets' moves the others", f.offset)
}

// runGroup reads as a member of a group. What has been printed is committed: at the end, and every few seconds.
func (f *consumeFlags) runGroup(ctx context.Context, w io.Writer, topic string) error {
	reset, err := f.groupOffset()
	if err != nil {
		return err
	}
	if len(f.partitions) > 0 {
		return errors.New("--partition: a group shares out all partitions among its members")
	}
	spans, err := f.groupSpans(ctx, topic)
	if err != nil {
		return err
	}
	if f.exitAtEnd && len(spans) == 0 {
		return nil
	}
	a := &audience{owned: map[int32]bool{}}
	cl, err := f.to.client(ctx, kgo.ConsumerGroup(f.group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(reset), kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(a.own), kgo.OnPartitionsRevoked(a.revoked), kgo.OnPartitionsLost(a.lose))
	if err != nil {
		return err
	}
	p := startProgress("consumed", f.progress)
	defer p.end()
	out := bufio.NewWriterSize(w, 64<<10)
	err = f.pollGroup(ctx, cl, out, spans, a, p)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), reachTimeout)
	defer cancel()
	err = errors.Join(err, cl.CommitMarkedOffsets(end))
	cl.CloseAllowingRebalance()
	return err
}

// revoked commits what has been printed before another member begins there.
func (a *audience) revoked(ctx context.Context, cl *kgo.Client, topics map[string][]int32) {
	_ = cl.CommitMarkedOffsets(ctx) // whoever comes next reads a little twice otherwise
	a.lose(ctx, cl, topics)
}

// groupSpans is what the group has not read yet of each partition, up to what is the end now.
func (f *consumeFlags) groupSpans(ctx context.Context, topic string) (map[int32]*span, error) {
	adm, done, err := f.to.admin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	spans, err := f.spans(ctx, adm, topic)
	if err != nil {
		return nil, err
	}
	committed, err := adm.FetchOffsetsForTopics(ctx, f.group, topic)
	if err != nil {
		return nil, err
	}
	committed.Each(func(o kadm.OffsetResponse) {
		if s := spans[o.Partition]; s != nil && o.At >= 0 {
			s.next = o.At
		}
	})
	for partition, s := range spans {
		if s.next >= s.end {
			delete(spans, partition)
		}
	}
	return spans, nil
}

// lookAgain is how often a member looks whether it is done: its last partition may have gone to another.
const lookAgain = 500 * time.Millisecond

func (f *consumeFlags) pollGroup(ctx context.Context, cl *kgo.Client, out *bufio.Writer, spans map[int32]*span, a *audience, p *progress) error {
	var printed int64
	for {
		if f.exitAtEnd && a.passed(spans) {
			return nil
		}
		poll, cancel := context.WithTimeout(ctx, lookAgain)
		fetches := cl.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil // interrupted: what was read has been printed
		}
		records, err := fetches.Records(), fetches.Err()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if left := f.count - printed; f.count > 0 && int64(len(records)) > left {
			records = records[:left]
		}
		for _, r := range records {
			if err := f.print(out, r); err != nil {
				return err
			}
			p.add(1, int64(len(r.Key)+len(r.Value)))
		}
		if err := out.Flush(); err != nil {
			return err
		}
		cl.MarkCommitRecords(records...)
		if printed += int64(len(records)); f.count > 0 && printed >= f.count {
			return nil
		}
		f.passed(fetches, spans)
		cl.AllowRebalance()
	}
}
