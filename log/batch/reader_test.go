package batch

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// read lists the records of a batch as text: offset@time key=value headers.
func read(t testing.TB, raw []byte) []string {
	t.Helper()
	r, err := NewReader(raw, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var (
		rec   Record
		lines []string
	)
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return lines
		}
		line := fmt.Sprintf("%d@%d %s=%s", rec.Offset, rec.Timestamp, show(rec.Key), show(rec.Value))
		for k, v := range rec.Headers.All() {
			line += fmt.Sprintf(" %s:%s", k, show(v))
		}
		lines = append(lines, line)
	}
}

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("records\n%q\nwant\n%q", got, want)
	}
}

var plainRecords = []string{`0@1000 "k0"="v0"`, `1@1005 null="v1" h:"x" null:null`, `2@1002 "k2"=null`}

// kafkas are the records of plain as Apache Kafka 4.3.1's Java client writes them, with each codec.
var kafkas = map[string]string{
	"none":   "000000000000000000000058ffffffff02efc2c68900000000000200000000000003e800000000000003edffffffffffffffffffffffffffff0000000314000000046b300476300024000a02010476310402680278086e756c6c0110000404046b320100",
	"gzip":   "00000000000000000000006cffffffff02e936afe900010000000200000000000003e800000000000003edffffffffffffffffffffffffffff000000031f8b08000000000000ff1361606060c936602933605061e062626429336461ca60aae0c82bcdc9611460606161c93662640000e21a405e27000000",
	"snappy": "00000000000000000000006effffffff02a42a6f8e00020000000200000000000003e800000000000003edffffffffffffffffffffffffffff0000000382534e4150505900000000010000000100000029279814000000046b300476300024000a02010476310402680278086e756c6c0110000404046b320100",
	"lz4":    "000000000000000000000067ffffffff024d54cf7900030000000200000000000003e800000000000003edffffffffffffffffffffffffffff0000000304224d186040822700008014000000046b300476300024000a02010476310402680278086e756c6c0110000404046b32010000000000",
	"zstd":   "000000000000000000000064ffffffff028c88a06500040000000200000000000003e800000000000003edffffffffffffffffffffffffffff0000000328b52ffd005838010014000000046b300476300024000a02010476310402680278086e756c6c0110000404046b320100010000",
}

func TestReaderReadsKafkasBatches(t *testing.T) {
	for name, text := range kafkas {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var h Header
		if err := accept(raw, &h, anyOptions); err != nil || h.Attributes.Codec().String() != name {
			t.Fatalf("%s: %+v, error %v", name, h, err)
		}
		same(t, read(t, raw), plainRecords)
	}
}

// encodedBy makes the records of plain with a client's own encoder.
func encodedBy(t testing.TB, c Codec) []byte {
	t.Helper()
	records := []kmsg.Record{
		{Key: []byte("k0"), Value: []byte("v0")},
		{TimestampDelta64: 5, OffsetDelta: 1, Value: []byte("v1"), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}, {Key: "null"}}},
		{TimestampDelta64: 2, OffsetDelta: 2, Key: []byte("k2")},
	}
	var body []byte
	for i := range records {
		bare := records[i].AppendTo(nil) // with a length of 0, which is one byte
		records[i].Length = int32(len(bare) - 1)
		body = records[i].AppendTo(body)
	}
	if c != None {
		codec := map[Codec]kgo.CompressionCodec{Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression()}[c]
		compressor, err := kgo.DefaultCompressor(codec)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		body, _ = compressor.Compress(&buf, body)
	}
	rb := kmsg.RecordBatch{
		Length: int32(HeaderSize - Overhead + len(body)), PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(c), LastOffsetDelta: 2, FirstTimestamp: 1000, MaxTimestamp: 1005,
		ProducerID: 7, ProducerEpoch: 1, FirstSequence: 40, NumRecords: 3, Records: body,
	}
	raw := rb.AppendTo(nil)
	return append(raw[:crcAt], append(kbin.AppendInt32(nil, int32(checksum(raw))), raw[attributesAt:]...)...)
}

func TestReaderReadsWhatClientsWrite(t *testing.T) {
	same(t, read(t, plain(t)), plainRecords)
	for c := None; c <= Zstd; c++ {
		raw := encodedBy(t, c)
		var h Header
		if err := accept(raw, &h, anyOptions); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		same(t, read(t, raw), plainRecords)
	}
	if !bytes.Equal(encodedBy(t, None), plain(t)) {
		t.Fatal("Builder does not give a client's bytes")
	}
}

func TestClientsReadWhatBuilderWrites(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		b := NewBuilder()
		b.BaseOffset, b.LeaderEpoch, b.Codec = 50, 4, c
		for i := range 1000 {
			b.Add(int64(2000-i), fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value %d", i), RecordHeader{"n", []byte{byte(i)}})
		}
		rp := &kmsg.FetchResponseTopicPartition{RecordBatches: b.Build(nil), HighWatermark: 2000}
		fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: 50}, rp, kgo.DefaultDecompressor(), nil)
		if fp.Err != nil || next != 1050 || len(fp.Records) != 1000 {
			t.Fatalf("%s: %d records, next offset %d, error %v", c, len(fp.Records), next, fp.Err)
		}
		last := fp.Records[999]
		if string(last.Key) != "key 999" || string(last.Value) != "value 999" || last.Offset != 1049 || last.LeaderEpoch != 4 || last.Timestamp.UnixMilli() != 1001 || last.Headers[0].Key != "n" {
			t.Fatalf("%s: last record %+v", c, last)
		}
	}
}

// compacted drops the middle record of plain, as compaction does.
func compacted(t testing.TB) []byte {
	raw := plain(t)
	body := raw[HeaderSize:]
	var h Header
	h.decode(raw)
	var rec Record
	first, err := parseRecord(body, &h, &rec)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parseRecord(body[first:], &h, &rec)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(raw[:HeaderSize+first]), body[first+second:]...)
	h.Count = 2
	seal(out, &h)
	return out
}

func TestReaderReadsCompactedBatches(t *testing.T) {
	same(t, read(t, compacted(t)), []string{plainRecords[0], plainRecords[2]})
	same(t, read(t, NewBuilder().Build(nil)), nil)
	same(t, read(t, mutated(NewBuilder().Build(nil), func(h *Header) { h.Attributes |= Attributes(Gzip) })), nil)
}

// withBody is a batch of count records around bytes that may be anything.
func withBody(c Codec, count int32, body ...byte) []byte {
	raw := append(make([]byte, HeaderSize), body...)
	if c != None {
		raw = deflate(make([]byte, HeaderSize), body, c, DefaultLevel)
	}
	seal(raw, &Header{Magic: magicV2, LastOffsetDelta: max(count-1, 0), Count: count, Attributes: Attributes(c), ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
	return raw
}

// What Kafka's DefaultRecord.readFrom refuses, and what its iterator does at the end of a batch.
func TestReaderRefusesLies(t *testing.T) {
	good := []byte{12, 0, 0, 0, 1, 1, 0} // length 6, attributes, time, offset, key null, value null, no headers
	second := []byte{12, 0, 0, 2, 1, 1, 0}
	for name, c := range map[string]struct {
		count int32
		body  []byte
	}{
		"more records than declared":   {1, append(bytes.Clone(good), second...)},
		"fewer records than declared":  {3, append(bytes.Clone(good), second...)},
		"bytes behind the last record": {1, append(bytes.Clone(good), 0)},
		"same offset twice":            {2, append(bytes.Clone(good), good...)},
		"offset falls":                 {2, append(bytes.Clone(second), good...)},
		"offset beyond the header's":   {1, second},
		"negative offset":              {1, []byte{12, 0, 0, 1, 1, 1, 0}},
		"length 0":                     {1, []byte{0, 0, 0, 0, 1, 1, 0}},
		"length negative":              {1, []byte{1, 0, 0, 0, 1, 1, 0}},
		"length short of the fields":   {1, []byte{10, 0, 0, 0, 1, 1, 0}},
		"length beyond the batch":      {1, []byte{14, 0, 0, 0, 1, 1, 0}},
		"length of 2 GiB":              {1, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0}},
		"length of six bytes":          {1, []byte{0x8c, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 0, 1, 1, 0}},
		"key beyond the record":        {1, []byte{12, 0, 0, 0, 8, 1, 0}},
		"key length -2":                {1, []byte{12, 0, 0, 0, 3, 1, 0}},
		"value beyond the record":      {1, []byte{12, 0, 0, 0, 1, 8, 0}},
		"value length -2":              {1, []byte{12, 0, 0, 0, 1, 3, 0}},
		"header count -1":              {1, []byte{12, 0, 0, 0, 1, 1, 1}},
		"header count beyond":          {1, []byte{12, 0, 0, 0, 1, 1, 2}},
		"header count of 2^31-1":       {1, []byte{20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}},
		"header key null":              {1, []byte{16, 0, 0, 0, 1, 1, 2, 1, 0}},
		"header value length -2":       {1, []byte{16, 0, 0, 0, 1, 1, 2, 0, 3}},
		"bytes behind the headers":     {1, []byte{16, 0, 0, 0, 1, 1, 0, 0, 0}},
		"time of eleven bytes":         {1, append([]byte{40, 0}, bytes.Repeat([]byte{0x80}, 19)...)},
	} {
		for codec := None; codec <= Zstd; codec++ {
			raw := withBody(codec, c.count, c.body...)
			var h Header
			err := accept(raw, &h, anyOptions)
			if protocol.ErrorCode(err) != kerr.InvalidRecord.Code {
				t.Fatalf("%s, %s: error %v", name, codec, err)
			}
		}
	}
	var h Header
	wantKind(t, accept(withBody(None, 1, good...), &h, anyOptions), nil)
	_, err := NewReader(plain(t)[:70], 0)
	wantKind(t, err, kerr.CorruptMessage)
	_, err = NewReader(mutated(plain(t), func(h *Header) { h.Attributes |= Attributes(Gzip) }), 1000)
	wantKind(t, err, kerr.InvalidRecord)
}
