package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produceFlags is how lines become records.
type produceFlags struct {
	to           connection
	file         string
	keySeparator string
	key          string
	headers      []string
	partition    int32
	acks         string
	codec        string
	maxBytes     int32
	idempotent   bool
	progress     bool
}

var (
	codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	acks   = map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "-1": kgo.AllISRAcks(), "all": kgo.AllISRAcks()}
)

func newProduce() *cobra.Command {
	var f produceFlags
	c := &cobra.Command{
		Use: "produce TOPIC", Short: "Write lines from standard input or a file, a record each", Args: cobra.ExactArgs(1), ValidArgsFunction: f.to.completeTopics,
		Example: "  seq 1000 | ottla produce numbers\n  ottla produce events --file events.jsonl --compression zstd",
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c.Context(), c.InOrStdin(), args[0]) },
	}
	f.to.flag(c)
	c.Flags().StringVarP(&f.file, "file", "f", "-", "the file to read; - is standard input")
	c.Flags().StringVarP(&f.keySeparator, "key-separator", "K", "", "what separates key and value in a line; empty: no keys")
	c.Flags().StringVarP(&f.key, "key", "k", "", "the key of every record")
	c.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "NAME=VALUE on every record, repeatable")
	c.Flags().Int32VarP(&f.partition, "partition", "p", -1, "the partition; -1 spreads by key")
	c.Flags().StringVar(&f.acks, "acks", "all", "0, 1 or all")
	c.Flags().StringVarP(&f.codec, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	c.Flags().Int32Var(&f.maxBytes, "max-bytes", 1000012, "the largest line and the largest batch, in bytes; the topic's max.message.bytes must allow it")
	c.Flags().BoolVar(&f.idempotent, "idempotent", true, "write each record exactly once (needs acks=all)")
	c.Flags().BoolVar(&f.progress, "progress", false, "print progress even if standard error is not a terminal")
	return c
}

func (f *produceFlags) options(topic string) ([]kgo.Opt, error) {
	codec, ok := codecs[f.codec]
	if !ok {
		return nil, fmt.Errorf("--compression %s: want none, gzip, snappy, lz4 or zstd", f.codec)
	}
	a, ok := acks[f.acks]
	if !ok {
		return nil, fmt.Errorf("--acks %s: want 0, 1 or all", f.acks)
	}
	opts := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(a), kgo.AllowAutoTopicCreation(), kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.ProducerBatchMaxBytes(f.maxBytes), kgo.BrokerMaxWriteBytes(max(100<<20, 2*f.maxBytes))}
	if a != kgo.AllISRAcks() || !f.idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	if f.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

func (f *produceFlags) run(ctx context.Context, in io.Reader, topic string) error {
	opts, err := f.options(topic)
	if err != nil {
		return err
	}
	p := startProgress("produced", f.progress)
	defer p.end()
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return err
		}
		defer file.Close() // read only: nothing to lose
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			p.total.Store(info.Size())
		}
		in = file
	}
	cl, err := f.to.client(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return f.lines(ctx, cl, in, p)
}

const (
	deliveryTimeout = 2 * time.Minute // how long a record may stay without an answer, as in Kafka's clients
	flushTimeout    = 5 * time.Second // how long an interrupted command waits for the answers of what it sent
	linesAhead      = 1024            // lines read before the client takes them
)

// lines produces every line of in and waits until all are acknowledged; the first failure ends it. An interrupt ends the reading: what was read is still written.
func (f *produceFlags) lines(ctx context.Context, cl *kgo.Client, in io.Reader, p *progress) error {
	headers, err := f.recordHeaders()
	if err != nil {
		return err
	}
	sending, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	lines := readLines(sending, in, int(f.maxBytes))
	for {
		select {
		case l, more := <-lines:
			if !more {
				return flush(sending, cl)
			}
			if l.err != nil {
				return errors.Join(l.err, flush(sending, cl))
			}
			size := int64(len(l.text))
			cl.Produce(sending, f.record(l.text, headers), func(_ *kgo.Record, err error) {
				if err != nil {
					cancel(err) // the first one counts
					return
				}
				p.add(1, size)
				p.done.Add(size + 1)
			})
		case <-sending.Done():
			return context.Cause(sending)
		case <-ctx.Done():
			limited, stop := context.WithTimeout(sending, flushTimeout)
			defer stop()
			return errors.Join(ctx.Err(), flush(limited, cl))
		}
	}
}

// flush waits for the answers of everything produced; the failure of a record comes before that of the waiting.
func flush(ctx context.Context, cl *kgo.Client) error {
	if err := cl.Flush(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// line is a line in memory of its own, without its end, or why there is none.
type line struct {
	text []byte
	err  error
}

// readLines reads on a goroutine of its own, which may stay in a read that nothing ends, such as a terminal's, until the process does.
func readLines(ctx context.Context, in io.Reader, limit int) <-chan line {
	lines := make(chan line, linesAhead)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, 1<<20)
		for {
			text, err := readLine(r, limit)
			if err == io.EOF {
				return
			}
			select {
			case lines <- line{text, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// readLine returns the next line in memory of its own, without its end; longer than limit is an error before it is held.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > limit:
			return nil, fmt.Errorf("a line is longer than --max-bytes %d", limit)
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0, err == nil:
			return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
		default:
			return nil, err
		}
	}
}

func (f *produceFlags) recordHeaders() ([]kgo.RecordHeader, error) {
	pairs, err := configPairs(f.headers)
	if err != nil {
		return nil, err
	}
	var hs []kgo.RecordHeader
	for k, v := range pairs {
		hs = append(hs, kgo.RecordHeader{Key: k, Value: []byte(*v)})
	}
	slices.SortFunc(hs, func(a, b kgo.RecordHeader) int { return strings.Compare(a.Key, b.Key) })
	return hs, nil
}

func (f *produceFlags) record(line []byte, headers []kgo.RecordHeader) *kgo.Record {
	r := &kgo.Record{Value: line, Headers: headers, Partition: f.partition}
	if f.key != "" {
		r.Key = []byte(f.key)
	}
	if f.keySeparator != "" {
		if key, value, ok := bytes.Cut(line, []byte(f.keySeparator)); ok {
			r.Key, r.Value = key, value
		}
	}
	return r
}
