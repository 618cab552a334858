package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// resetFlags is where to move a group's offsets.
type resetFlags struct {
	to     *connection
	topics []string
	where  string
	dryRun bool
	out    output
}

func newGroupResetOffsets(to *connection) *cobra.Command {
	f := resetFlags{to: to}
	c := &cobra.Command{
		Use: "reset-offsets NAME", Short: "Move the offsets of a group without members", Args: cobra.ExactArgs(1), ValidArgsFunction: to.completeGroups,
		Example: "  ottla group reset-offsets billing --to start --dry-run\n  ottla group reset-offsets billing --topic orders --to @2026-01-02T15:04:05Z",
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	c.Flags().StringSliceVarP(&f.topics, "topic", "t", nil, "only these topics (default: all that the group has offsets of)")
	c.Flags().StringVar(&f.where, "to", "", "start, end, a number, -N (N before the end of each partition) or @TIME (RFC 3339 or milliseconds)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
	_ = c.MarkFlagRequired("to") // fails only for an unknown flag
	f.out.flag(c)
	return c
}

func (f *resetFlags) run(c *cobra.Command, group string) error {
	ctx := c.Context()
	adm, done, err := f.to.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	described, err := adm.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	if d := described[group]; d.Err == nil && len(d.Members) > 0 {
		return fmt.Errorf("%s has %s (it is %s): stop them first, as they would overwrite the offsets", group, count(int64(len(d.Members)), "member"), d.State)
	}
	before, err := adm.FetchOffsets(ctx, group)
	if err == nil {
		err = before.Error()
	}
	if err != nil {
		return err
	}
	topics := f.topics
	if len(topics) == 0 {
		for topic := range before {
			topics = append(topics, topic)
		}
		slices.Sort(topics)
	}
	if len(topics) == 0 {
		return fmt.Errorf("%s has no offsets: name the topics with --topic", group)
	}
	after, err := f.targets(ctx, adm, topics)
	if err != nil {
		return err
	}
	if !f.dryRun {
		committed, err := adm.CommitOffsets(ctx, group, after)
		if err == nil {
			err = committed.Error()
		}
		if err != nil {
			return err
		}
	}
	return f.out.print(c, resetTable(before, after))
}

// targets resolves --to for every partition of the topics, between its start and its end.
func (f *resetFlags) targets(ctx context.Context, adm *kadm.Client, topics []string) (kadm.Offsets, error) {
	after := kadm.Offsets{}
	for _, topic := range topics {
		place := consumeFlags{offset: f.where}
		spans, err := place.spans(ctx, adm, topic)
		if err != nil {
			return nil, errors.New(strings.ReplaceAll(err.Error(), "--offset", "--to"))
		}
		for partition, s := range spans {
			after.Add(kadm.Offset{Topic: topic, Partition: partition, At: s.next, LeaderEpoch: -1})
		}
	}
	return after, nil
}

func resetTable(before kadm.OffsetResponses, after kadm.Offsets) table {
	t := table{columns: []string{"topic", "partition", "before", "after"}}
	for _, o := range after.Sorted() {
		var was any
		if b, ok := before.Lookup(o.Topic, o.Partition); ok && b.At >= 0 {
			was = b.At
		}
		t.rows = append(t.rows, []any{o.Topic, o.Partition, was, o.At})
	}
	return t
}
