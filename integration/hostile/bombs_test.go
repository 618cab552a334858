package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
)

// deflated is b as gzip.
func deflated(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // a bytes.Buffer takes all
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bomb is a batch of one record, valid in all, whose value is so many zeros.
func bomb(codec batch.Codec, size int) []byte {
	b := batch.NewBuilder()
	b.Codec = codec
	b.Add(time.Now().UnixMilli(), []byte("k"), make([]byte, size))
	return b.Build(nil)
}

// packed is a batch that claims one record and has these compressed bytes.
func packed(codec batch.Codec, body ...byte) []byte {
	h := append(good()[:recordsAt:recordsAt], body...)
	be.PutUint16(h[attributesAt:], uint16(codec))
	be.PutUint32(h[countAt:], 1)
	be.PutUint32(h[lastOffsetDeltaAt:], 0)
	return sealed(h)
}

// zstdRun is a frame of so many blocks of 128 KiB, behind the beginning of a record that is as long as they are. It claims a window of 8 MiB, or of 128 MiB if wide.
func zstdRun(blocks int, wide bool) []byte {
	value := blocks << 17
	length := binary.AppendVarint(nil, int64(value))
	start := append([]byte{0, 0, 0, 1}, length...) // attributes, times, offset, a null key, the value's length
	start = append(binary.AppendVarint(nil, int64(len(start)+value+1)), start...)
	window := byte(13 << 3)
	if wide {
		window = 17 << 3
	}
	f := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, window}
	f = append(f, byte(len(start)<<3), 0, 0) // a raw block
	f = append(f, start...)
	for range blocks {
		f = append(f, 0x02, 0x00, 0x10, 0) // a block that repeats one byte
	}
	return append(f, 0x09, 0, 0, 0) // the last one, raw: no headers
}

// byTime asks for the first record at or after a time.
func (v *victim) byTime(t *testing.T, topic string, timestamp int64) kmsg.ListOffsetsResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 7, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	tp := kmsg.NewListOffsetsRequestTopic()
	tp.Topic, tp.Partitions = topic, append(tp.Partitions, p)
	req.Topics = append(req.Topics, tp)
	resp := kmsg.NewPtrListOffsetsResponse()
	c := v.dial(t)
	defer c.Close()
	c.ask(t, req, resp)
	return resp.Topics[0].Partitions[0]
}

// TestJ06StoredBombs: records that inflate to many times their bytes, but less than the limit, are taken as Kafka takes them; neither that nor looking for a time among them costs
// memory for what they inflate to.
func TestJ06StoredBombs(t *testing.T) {
	const most = 24 << 20
	v := startVictim(t)
	for name, records := range map[string][]byte{
		"gzip": bomb(batch.Gzip, 64<<20), "snappy": bomb(batch.Snappy, 16<<20), "lz4": bomb(batch.LZ4, 64<<20), "zstd": packed(batch.Zstd, zstdRun(512, false)...),
	} {
		t.Run(name, func(t *testing.T) {
			if code := v.create(t, name); code != 0 {
				t.Fatal(kerr.ErrorForCode(code))
			}
			stamp := int64(be.Uint64(records[maxTimestampAt:]))
			spends(t, most, func() {
				if p := v.produce(t, producing(9, -1, name, records)); p.ErrorCode != 0 {
					t.Fatalf("%v: %s", kerr.ErrorForCode(p.ErrorCode), orNothing(p.ErrorMessage))
				}
			})
			spends(t, most, func() {
				for _, asked := range []int64{stamp, 0, -3} {
					if p := v.byTime(t, name, asked); p.ErrorCode != 0 || p.Offset != 0 || p.Timestamp != stamp {
						t.Errorf("time %d: %+v", asked, p)
					}
				}
			})
		})
	}
	v.serves(t)
}

// TestJ06Bombs: records that inflate beyond the limit, or claim to, are refused, and cost no more than the limit allows.
func TestJ06Bombs(t *testing.T) {
	v := startVictim(t)
	v.serves(t)
	gigabyte := binary.AppendUvarint(nil, 1<<30)
	almost := binary.AppendUvarint(nil, 200<<20)
	xerial := append([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}, be.AppendUint32(nil, uint32(len(almost)))...)
	for name, tt := range map[string]struct {
		records []byte
		want    *kerr.Error
	}{
		"gzip":                          {packed(batch.Gzip, gzipRun(t, 300<<20)...), kerr.MessageTooLarge},
		"zstd":                          {packed(batch.Zstd, zstdRun(3000, false)...), kerr.MessageTooLarge},
		"zstd, window claimed":          {packed(batch.Zstd, 0x28, 0xb5, 0x2f, 0xfd, 0, 17<<3, 0x09, 0, 0, 0), kerr.InvalidRecord},
		"zstd, content claimed":         {packed(batch.Zstd, 0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 0x03, 0, 0x10, 0), kerr.InvalidRecord},
		"snappy, length claimed":        {packed(batch.Snappy, append(gigabyte, 0)...), kerr.MessageTooLarge},
		"snappy, less than all claimed": {packed(batch.Snappy, append(almost, 0)...), kerr.InvalidRecord},
		"xerial, length claimed":        {packed(batch.Snappy, append(xerial, almost...)...), kerr.InvalidRecord},
		"xerial, chunk claimed":         {packed(batch.Snappy, append(xerial[:16:16], 0x7f, 0xff, 0xff, 0xff, 0)...), kerr.InvalidRecord},
		"lz4, block claimed":            {packed(batch.LZ4, 0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 0xff, 0xff, 0xff, 0x7f, 0), kerr.InvalidRecord},
	} {
		t.Run(name, func(t *testing.T) {
			spends(t, 64<<20, func() { v.refuses(t, "good", tt.records, tt.want) })
		})
	}
	v.serves(t)
}

// gzipRun is a stream of a record's beginning and so many zeros.
func gzipRun(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	start := binary.AppendVarint(nil, math.MaxInt32)
	start = append(start, 0, 0, 0, 1)
	start = binary.AppendVarint(start, math.MaxInt32-100)
	_, _ = w.Write(start)
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestJ06BombsTogether: connections bring bombs that have to be inflated in one piece, and a topic that compresses anew, all at once.
func TestJ06BombsTogether(t *testing.T) {
	v := startVictim(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, int32(patience.Milliseconds())
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "again", 1, 1
	config := kmsg.NewCreateTopicsRequestTopicConfig()
	config.Name, config.Value = "compression.type", kmsg.StringPtr("lz4")
	topic.Configs = append(topic.Configs, config)
	req.Topics = append(req.Topics, topic)
	resp := kmsg.NewPtrCreateTopicsResponse()
	v.dial(t).ask(t, req, resp)
	if code := resp.Topics[0].ErrorCode; code != 0 {
		t.Fatal(kerr.ErrorForCode(code))
	}
	const size = 256 // blocks: 32 MiB
	records := packed(batch.Zstd, zstdRun(size, true)...)
	var watched peak
	stop := watched.watch()
	answers := make(chan string)
	const clients = 24
	for n := range clients {
		name := "good"
		if n%2 == 0 {
			name = "again"
		}
		go func() {
			c := v.dialFor(t, 6*patience) // they take turns: the last one waits for all the others
			c.write(kmsg.NewRequestFormatter().AppendRequest(nil, producing(9, -1, name, bytes.Clone(records)), 1))
			b, err := c.receive()
			if err != nil {
				answers <- err.Error()
				return
			}
			resp := kmsg.NewPtrProduceResponse()
			resp.Version = 9
			if err := resp.ReadFrom(b[5:]); err != nil {
				answers <- err.Error()
				return
			}
			answers <- orNothing(resp.Topics[0].Partitions[0].ErrorMessage)
		}()
	}
	for range clients {
		if s := <-answers; s != "" && !strings.Contains(s, "exceeds the maximum") {
			t.Error(s)
		}
	}
	stop()
	if n := watched.heap(); n > 512<<20 { // all together would be above a gigabyte
		t.Errorf("the heap had up to %d bytes", n)
	}
	v.serves(t)
}
