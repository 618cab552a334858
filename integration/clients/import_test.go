//go:build clients

package clients

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const importTopics = 50

// A folder written by Apache Kafka with topics of every codec, compacted and deleted ones, transactions and three groups is taken over: ids, configs, records, offsets, commits.
func TestImportFromKafka(t *testing.T) {
	libs := kafkaLibs(t)
	kafka := startKafka(t, libs)
	fillKafka(t, kafka.address)
	before := look(t, kafka.address)
	kafka.stop(t)

	data := filepath.Join(t.TempDir(), "data")
	binary, err := filepath.Abs("../../bin/ottla")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "import", kafka.data, "--data", data).CombinedOutput()
	if err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	if out, err := exec.Command(binary, "import", kafka.data, "--data", data).CombinedOutput(); err == nil {
		t.Fatalf("a folder that is not empty was taken:\n%s", out)
	}
	ottla := serveOttla(t, data)
	after := look(t, ottla.address)
	before.compare(t, after)
	goOn(t, ottla.address, before)
}

// seen is what a client sees of a cluster.
type seen struct {
	cluster string
	topics  map[string]string // id, partitions, configs that are set
	logs    map[string]partitionLog
}

// partitionLog is the records of one partition, by offset, control records too.
type partitionLog struct {
	start, end int64
	records    map[int64]string
}

func client(t *testing.T, address string, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func need(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fillKafka(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	plain := client(t, address)
	admin := kadm.NewClient(plain)
	for i := range importTopics {
		configs := map[string]*string{"segment.bytes": new("1048576")}
		if i%5 == 1 {
			configs["cleanup.policy"], configs["min.cleanable.dirty.ratio"] = new("compact"), new("0.01")
		}
		if i%5 == 2 {
			configs["retention.ms"] = new("3600000")
		}
		r, err := admin.CreateTopic(ctx, int32(1+i%3), 1, configs, fmt.Sprint("t", i))
		need(t, err)
		need(t, r.Err)
	}
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		c := client(t, address, kgo.ProducerBatchCompression(codec))
		var rs []*kgo.Record
		for topic := i; topic < importTopics; topic += 5 {
			for n := range 40 {
				r := &kgo.Record{Topic: fmt.Sprint("t", topic), Key: fmt.Append(nil, "k", n%9), Value: fmt.Append(nil, topic, "-", n, strings.Repeat("x", n*7)), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{byte(n)}}}}
				if n%8 == 7 {
					r.Value = nil
				}
				rs = append(rs, r)
			}
		}
		need(t, c.ProduceSync(ctx, rs...).FirstErr())
	}
	// A compacted topic with closed segments.
	big := client(t, address, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(100))
	for n := range 4000 {
		big.Produce(ctx, &kgo.Record{Topic: "t1", Partition: 0, Key: fmt.Append(nil, "k", n%20), Value: bytes.Repeat([]byte{'y'}, 2000)}, nil)
	}
	need(t, big.Flush(ctx))
	for n := range 6 {
		x := client(t, address, kgo.TransactionalID(fmt.Sprint("x", n)))
		need(t, x.BeginTransaction())
		need(t, x.ProduceSync(ctx, &kgo.Record{Topic: "t0", Key: []byte("x"), Value: fmt.Append(nil, n)}, &kgo.Record{Topic: "t5", Key: []byte("x"), Value: fmt.Append(nil, n)}).FirstErr())
		need(t, x.EndTransaction(ctx, kgo.TransactionEndTry(n%2 == 0)))
	}
	for _, topic := range []string{"t3", "t8"} {
		_, err := admin.DeleteTopics(ctx, topic)
		need(t, err)
	}
	deleted := kadm.Offsets{}
	deleted.AddOffset("t5", 0, 7, -1)
	_, err := admin.DeleteRecords(ctx, deleted)
	need(t, err)
	for g := range 3 {
		commit := kadm.Offsets{}
		commit.AddOffset(fmt.Sprint("t", g*5), 0, int64(10+g), -1)
		need(t, admin.CommitAllOffsets(ctx, fmt.Sprint("group", g), commit))
	}
}

// look reads everything.
func look(t *testing.T, address string) *seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	admin := kadm.NewClient(client(t, address))
	meta, err := admin.Metadata(ctx)
	need(t, err)
	s := &seen{cluster: meta.Cluster, topics: map[string]string{}, logs: map[string]partitionLog{}}
	names := meta.Topics.Names()
	configs, err := admin.DescribeTopicConfigs(ctx, names...)
	need(t, err)
	for _, topic := range meta.Topics {
		c, err := configs.On(topic.Topic, nil)
		need(t, err)
		var set []string
		for _, entry := range c.Configs {
			if entry.Source == 1 { // of the topic itself
				set = append(set, entry.Key+"="+entry.MaybeValue())
			}
		}
		slices.Sort(set)
		s.topics[topic.Topic] = fmt.Sprint(topic.ID, " ", len(topic.Partitions), " ", set)
	}
	starts, err := admin.ListStartOffsets(ctx, names...)
	need(t, err)
	ends, err := admin.ListEndOffsets(ctx, names...)
	need(t, err)
	from := map[string]map[int32]kgo.Offset{}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		need(t, o.Err)
		first, _ := starts.Lookup(o.Topic, o.Partition)
		s.logs[fmt.Sprint(o.Topic, "-", o.Partition)] = partitionLog{first.Offset, o.Offset, map[int64]string{}}
		if first.Offset < o.Offset {
			if from[o.Topic] == nil {
				from[o.Topic] = map[int32]kgo.Offset{}
			}
			from[o.Topic][o.Partition] = kgo.NewOffset().At(first.Offset)
			left++
		}
	})
	s.consume(t, ctx, client(t, address, kgo.ConsumePartitions(from), kgo.KeepControlRecords()), left)
	return s
}

// consume reads to the ends that were noted: the last batch of a log is never compacted away.
func (s *seen) consume(t *testing.T, ctx context.Context, c *kgo.Client, left int) {
	t.Helper()
	for left > 0 {
		fetches := c.PollFetches(ctx)
		need(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			log := s.logs[fmt.Sprint(r.Topic, "-", r.Partition)]
			log.records[r.Offset] = fmt.Sprintf("%q=%q %v @%d epoch %d, %v", r.Key, r.Value, r.Headers, r.Timestamp.UnixMilli(), r.LeaderEpoch, r.Attrs.IsControl())
			if r.Offset == log.end-1 {
				left--
			}
		})
	}
}

func (s *seen) compare(t *testing.T, after *seen) {
	t.Helper()
	if s.cluster != after.cluster || len(after.topics) < importTopics-2 {
		t.Errorf("cluster %s became %s, %d topics %d", s.cluster, after.cluster, len(s.topics), len(after.topics))
	}
	if !maps.Equal(s.topics, after.topics) {
		t.Errorf("topics were\n%v\nare\n%v", s.topics, after.topics)
	}
	records, gone := 0, 0
	for name, was := range s.logs {
		is := after.logs[name]
		if was.start != is.start || was.end != is.end {
			t.Errorf("%s was [%d, %d), is [%d, %d)", name, was.start, was.end, is.start, is.end)
		}
		for offset, r := range was.records {
			switch now, ok := is.records[offset]; {
			case !ok && strings.HasPrefix(name, "t1-"):
				gone++ // Apache Kafka has compacted once more before it stopped
			case r != now:
				t.Errorf("%s: record %d was %s, is %s", name, offset, r, now)
			}
		}
		records += len(is.records)
	}
	t.Logf("%d topics, %d partitions, %d records compared; %d were compacted meanwhile", len(after.topics), len(after.logs), records, gone)
}

// goOn writes behind what was imported, and looks for the committed offsets.
func goOn(t *testing.T, address string, before *seen) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := client(t, address, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	r := &kgo.Record{Topic: "t0", Partition: 0, Value: []byte("behind")}
	need(t, c.ProduceSync(ctx, r).FirstErr())
	if want := before.logs["t0-0"].end; r.Offset != want {
		t.Errorf("the next record of t0-0 is at %d, want %d", r.Offset, want)
	}
	admin := kadm.NewClient(c)
	for g := range 3 {
		offsets, err := admin.FetchOffsets(ctx, fmt.Sprint("group", g))
		need(t, err)
		if o, ok := offsets.Lookup(fmt.Sprint("t", g*5), 0); !ok || o.At != int64(10+g) {
			t.Errorf("group%d is at %+v", g, o)
		}
	}
}
