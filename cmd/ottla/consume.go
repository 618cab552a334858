package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeFlags is what to read and how to print it.
type consumeFlags struct {
	to         connection
	offset     string
	partitions []int32
	count      int64
	exitAtEnd  bool
	group      string
	keys       bool
	progress   bool
	out        output
}

func newConsume() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Read a topic's records, alone or as a member of a group", Args: cobra.ExactArgs(1), ValidArgsFunction: f.to.completeTopics,
		Example: "  ottla consume numbers --exit-at-end\n  ottla consume events --offset @2026-01-02T15:04:05Z --output json\n  ottla consume numbers --group readers",
		RunE: func(c *cobra.Command, args []string) error {
			if f.group != "" {
				return f.runGroup(c.Context(), c.OutOrStdout(), args[0])
			}
			return f.run(c.Context(), c.OutOrStdout(), args[0])
		},
	}
	f.to.flag(c)
	c.Flags().StringVarP(&f.offset, "offset", "s", "start", "start, end, a number, -N (the last N of each partition) or @TIME (RFC 3339 or milliseconds)")
	c.Flags().Int32SliceVarP(&f.partitions, "partition", "p", nil, "only these partitions")
	c.Flags().Int64VarP(&f.count, "count", "c", 0, "stop after so many records; 0: never")
	c.Flags().BoolVarP(&f.exitAtEnd, "exit-at-end", "e", false, "stop at what is the end now")
	c.Flags().StringVarP(&f.group, "group", "g", "", "read as a member of this group, from its committed offsets on, and commit what is printed")
	c.Flags().BoolVar(&f.keys, "keys", false, "print KEY, a tab and the value")
	c.Flags().BoolVar(&f.progress, "progress", false, "print progress even if standard error is not a terminal")
	f.out.flag(c)
	return c
}

// span is what one partition still has to give: records from next up to end, end exclusive.
type span struct{ next, end int64 }

func (f *consumeFlags) run(ctx context.Context, w io.Writer, topic string) error {
	adm, done, err := f.to.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	spans, err := f.spans(ctx, adm, topic)
	if err != nil {
		return err
	}
	offsets := map[int32]kgo.Offset{}
	p := startProgress("consumed", f.progress)
	defer p.end()
	for partition, s := range spans {
		if f.exitAtEnd && s.next >= s.end {
			delete(spans, partition)
			continue
		}
		offsets[partition] = kgo.NewOffset().At(s.next)
		if f.exitAtEnd {
			p.total.Add(s.end - s.next)
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	cl, err := f.to.client(ctx, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	out := bufio.NewWriterSize(w, 64<<10)
	return errors.Join(f.poll(ctx, cl, out, spans, p), out.Flush())
}

// poll prints records until the spans are read (with --exit-at-end), the count is reached or the context ends.
func (f *consumeFlags) poll(ctx context.Context, cl *kgo.Client, out *bufio.Writer, spans map[int32]*span, p *progress) error {
	var printed int64
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil // interrupted: what was read has been printed
		}
		if err := fetches.Err0(); err != nil {
			return err
		}
		var failed error
		fetches.EachError(func(topic string, partition int32, err error) {
			failed = fmt.Errorf("%s-%d: %w", topic, partition, err)
		})
		if failed != nil {
			return failed
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if s := spans[r.Partition]; r.Attrs.IsControl() || f.exitAtEnd && (s == nil || r.Offset >= s.end) {
				continue
			}
			if err := f.print(out, r); err != nil {
				return err
			}
			printed++
			p.add(1, int64(len(r.Key)+len(r.Value)))
			p.done.Add(1)
			if f.count > 0 && printed == f.count {
				return nil
			}
		}
		if f.exitAtEnd && f.passed(fetches, spans) {
			return nil
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// passed drops the spans whose end the fetches reached and tells whether none is left. Control records count: a span may end with one.
func (f *consumeFlags) passed(fetches kgo.Fetches, spans map[int32]*span) bool {
	fetches.EachPartition(func(ftp kgo.FetchTopicPartition) {
		s := spans[ftp.Partition]
		if s == nil {
			return
		}
		if n := len(ftp.Records); n > 0 {
			s.next = ftp.Records[n-1].Offset + 1
		}
		if s.next >= s.end {
			delete(spans, ftp.Partition)
		}
	})
	return len(spans) == 0
}

// spans resolves --offset and --partition to where each partition starts and where it ends now.
func (f *consumeFlags) spans(ctx context.Context, adm *kadm.Client, topic string) (map[int32]*span, error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	at, err := f.startAt(ctx, adm, topic)
	if err != nil {
		return nil, err
	}
	spans := map[int32]*span{}
	starts.Each(func(s kadm.ListedOffset) {
		e, _ := ends.Lookup(topic, s.Partition)
		spans[s.Partition] = &span{next: max(s.Offset, at(s.Partition, s.Offset, e.Offset)), end: e.Offset}
	})
	if len(f.partitions) > 0 {
		if spans, err = f.choose(spans, topic); err != nil {
			return nil, err
		}
	}
	for p, s := range spans {
		if s.next > s.end { // a client would take it for lost data, and begin somewhere else
			return nil, fmt.Errorf("--offset %d is past the end of %s-%d, which is %d", s.next, topic, p, s.end)
		}
	}
	return spans, nil
}

// choose leaves the spans of the partitions asked for.
func (f *consumeFlags) choose(spans map[int32]*span, topic string) (map[int32]*span, error) {
	chosen := map[int32]*span{}
	for _, p := range f.partitions {
		if spans[p] == nil {
			return nil, fmt.Errorf("%s has no partition %d", topic, p)
		}
		chosen[p] = spans[p]
	}
	return chosen, nil
}

// startAt reads --offset.
func (f *consumeFlags) startAt(ctx context.Context, adm *kadm.Client, topic string) (func(partition int32, start, end int64) int64, error) {
	switch {
	case f.offset == "start":
		return func(_ int32, start, _ int64) int64 { return start }, nil
	case f.offset == "end":
		return func(_ int32, _, end int64) int64 { return end }, nil
	case strings.HasPrefix(f.offset, "@"):
		ms, err := parseTime(f.offset[1:])
		if err != nil {
			return nil, err
		}
		at, err := adm.ListOffsetsAfterMilli(ctx, ms, topic)
		if err == nil {
			err = at.Error()
		}
		if err != nil {
			return nil, err
		}
		return func(p int32, _, _ int64) int64 { o, _ := at.Lookup(topic, p); return o.Offset }, nil
	}
	n, err := strconv.ParseInt(f.offset, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("--offset %s: want start, end, a number, -N or @TIME", f.offset)
	}
	if n < 0 {
		return func(_ int32, _, end int64) int64 { return end + n }, nil
	}
	return func(int32, int64, int64) int64 { return n }, nil
}

func parseTime(s string) (ms int64, err error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("--offset @%s: %w", s, err)
	}
	return t.UnixMilli(), nil
}

// jsonRecord is a record as --output json prints it, one a line.
type jsonRecord struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Timestamp time.Time    `json:"timestamp"`
	Key       jsonBytes    `json:"key"`
	Value     jsonBytes    `json:"value"`
	Headers   []jsonHeader `json:"headers,omitempty"`
}

func (f *consumeFlags) print(w *bufio.Writer, r *kgo.Record) error {
	if f.out.json() {
		j := jsonRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			j.Headers = append(j.Headers, jsonHeader{h.Key, h.Value})
		}
		return json.NewEncoder(w).Encode(j)
	}
	if f.keys {
		if _, err := w.Write(r.Key); err != nil {
			return err
		}
		if err := w.WriteByte('\t'); err != nil {
			return err
		}
	}
	if _, err := w.Write(r.Value); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
