//go:build clients

package clients

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// batch is a record batch of magic 2 that may lie: every field is written as it stands here.
type batch struct {
	base          int64
	epoch         int32
	magic         int8
	attributes    int16
	first, max    int64 // timestamps
	producer      int64
	producerEpoch int16
	sequence      int32
	records       []record
	raw           []byte // the records' bytes, instead of records
	count         int32  // beyond the number of records
	lastDelta     int32  // beyond the number of records less one
	length        int32  // beyond the true one
	badCRC        bool
}

// record is one of a batch.
type record struct {
	key, value []byte
	nilKey     bool
	delta      int32 // of the offset, beyond the record's index
	at         int64 // timestamp delta
	headers    []kmsg.Header
	attributes int8
	length     int32 // beyond the true one
	trailing   []byte
}

// rawTime is the timestamp of records that do not care: long ago, within what every broker keeps by default in an active segment.
const rawTime = 1_700_000_000_000

// batchOf is an honest batch with these values, keyed k0, k1 …
func batchOf(values ...string) batch {
	b := batch{epoch: -1, magic: 2, first: rawTime, max: rawTime, producer: -1, producerEpoch: -1, sequence: -1}
	for i, v := range values {
		b.records = append(b.records, record{key: fmt.Appendf(nil, "k%d", i), value: []byte(v)})
	}
	return b
}

func (b batch) with(f func(*batch)) batch {
	f(&b)
	return b
}

// from makes b an idempotent producer's.
func (b batch) from(producer int64, epoch int16, sequence int32) batch {
	b.producer, b.producerEpoch, b.sequence = producer, epoch, sequence
	return b
}

func (r record) append(dst []byte, index int) []byte {
	body := []byte{byte(r.attributes)}
	body = binary.AppendVarint(body, r.at)
	body = kbin.AppendVarint(body, int32(index)+r.delta)
	if r.nilKey {
		body = kbin.AppendVarint(body, -1)
	} else {
		body = append(kbin.AppendVarint(body, int32(len(r.key))), r.key...)
	}
	if r.value == nil {
		body = kbin.AppendVarint(body, -1)
	} else {
		body = append(kbin.AppendVarint(body, int32(len(r.value))), r.value...)
	}
	body = kbin.AppendVarint(body, int32(len(r.headers)))
	for _, h := range r.headers {
		body = append(kbin.AppendVarint(body, int32(len(h.Key))), h.Key...)
		body = append(kbin.AppendVarint(body, int32(len(h.Value))), h.Value...)
	}
	body = append(body, r.trailing...)
	return append(kbin.AppendVarint(dst, int32(len(body))+r.length), body...)
}

func compressRaw(codec int16, b []byte) []byte {
	var out bytes.Buffer
	switch codec {
	case 1:
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
	case 3:
		w := lz4.NewWriter(&out)
		w.Write(b)
		w.Close()
	case 4:
		w, err := zstd.NewWriter(nil)
		if err != nil {
			panic(setupError{err})
		}
		return w.EncodeAll(b, nil)
	default:
		return b
	}
	return out.Bytes()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes encodes the batch, compressed as its attributes say (snappy and the codecs that do not exist stay as they are).
func (b batch) bytes() []byte {
	payload := b.raw
	if payload == nil {
		for i, r := range b.records {
			payload = r.append(payload, i)
		}
		payload = compressRaw(b.attributes&7, payload)
	}
	n := int32(len(b.records))
	m := kmsg.RecordBatch{FirstOffset: b.base, Length: int32(49+len(payload)) + b.length, PartitionLeaderEpoch: b.epoch, Magic: b.magic, Attributes: b.attributes,
		LastOffsetDelta: n - 1 + b.lastDelta, FirstTimestamp: b.first, MaxTimestamp: b.max, ProducerID: b.producer, ProducerEpoch: b.producerEpoch, FirstSequence: b.sequence,
		NumRecords: n + b.count, Records: payload}
	out := m.AppendTo(nil)
	sum := crc32.Checksum(out[21:], castagnoli)
	if b.badCRC {
		sum ^= 1
	}
	binary.BigEndian.PutUint32(out[17:], sum)
	return out
}

// oldMessage is a message set of one message of magic 0 or 1.
func oldMessage(magic int8, value string) []byte {
	body := []byte{byte(magic), 0}
	if magic == 1 {
		body = kbin.AppendInt64(body, rawTime)
	}
	body = kbin.AppendBytes(body, []byte("k"))
	body = kbin.AppendBytes(body, []byte(value))
	out := kbin.AppendInt64(nil, 0)
	out = kbin.AppendInt32(out, int32(4+len(body)))
	out = kbin.AppendUint32(out, crc32.ChecksumIEEE(body))
	return append(out, body...)
}

// records renders bytes that may be batches: their headers, and the records as they are stored. What is left of a batch that a limit has cut does not count: Kafka sends it, and clients drop it.
func (n *rawNames) records(b *strings.Builder, indent, name string, raw []byte) {
	if raw == nil {
		return
	}
	if name != "RecordBatches" && name != "Records" {
		fmt.Fprintf(b, "%s%s: %x\n", indent, name, raw)
		return
	}
	fmt.Fprintf(b, "%s%s\n", indent, name)
	for len(raw) >= 61 && raw[16] == 2 {
		var m kmsg.RecordBatch
		size := 12 + int(int32(binary.BigEndian.Uint32(raw[8:])))
		if size > len(raw) && name == "RecordBatches" {
			return
		}
		if size < 61 || size > len(raw) || m.ReadFrom(raw[:size]) != nil {
			break
		}
		sum := "good"
		if crc32.Checksum(raw[21:size], castagnoli) != uint32(m.CRC) {
			sum = "bad"
		}
		fmt.Fprintf(b, "%s  batch offset %d epoch %d attributes %#x lastDelta %d time %s..%s producer %s/%d/%d count %d crc %s %s\n", indent, m.FirstOffset, m.PartitionLeaderEpoch,
			uint16(m.Attributes), m.LastOffsetDelta, n.number("Timestamp", m.FirstTimestamp), n.number("Timestamp", m.MaxTimestamp), n.number("ProducerID", m.ProducerID), m.ProducerEpoch,
			m.FirstSequence, m.NumRecords, sum, shorten(m.Records))
		raw = raw[size:]
	}
	if len(raw) > 0 && (name != "RecordBatches" || len(raw) >= 61) {
		fmt.Fprintf(b, "%s  and %d bytes %s\n", indent, len(raw), shorten(raw))
	}
}

func shorten(b []byte) string {
	if len(b) <= 80 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes, sum %08x)", b[:40], len(b), crc32.ChecksumIEEE(b))
}
