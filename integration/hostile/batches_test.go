package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
)

// Places in a batch's header.
const (
	baseOffsetAt      = 0
	lengthAt          = 8
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57
	recordsAt         = 61
)

var be = binary.BigEndian

// good is a batch of two records that any topic takes.
func good() []byte {
	b := batch.NewBuilder()
	b.Add(time.Now().UnixMilli(), []byte("k"), []byte("v"))
	b.Add(time.Now().UnixMilli(), []byte("l"), []byte("w"))
	return b.Build(nil)
}

// sealed has the length and the CRC that b should have.
func sealed(b []byte) []byte {
	be.PutUint32(b[lengthAt:], uint32(len(b)-lengthAt-4))
	be.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// lie is a good batch with one thing changed and the CRC made to fit.
func lie(change func(b []byte)) []byte {
	b := good()
	change(b)
	return sealed(b)
}

func put16(at int, v uint16) func([]byte) { return func(b []byte) { be.PutUint16(b[at:], v) } }
func put32(at int, v int32) func([]byte)  { return func(b []byte) { be.PutUint32(b[at:], uint32(v)) } }
func put64(at int, v int64) func([]byte)  { return func(b []byte) { be.PutUint64(b[at:], uint64(v)) } }
func put8(at int, v byte) func([]byte)    { return func(b []byte) { b[at] = v } }
func all(f ...func([]byte)) func([]byte) {
	return func(b []byte) {
		for _, f := range f {
			f(b)
		}
	}
}

// producing is a Produce request of one batch for a partition 0.
func producing(version int16, acks int16, topic string, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, int32(patience.Milliseconds())
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	tp := kmsg.NewProduceRequestTopic()
	tp.Topic, tp.Partitions = topic, append(tp.Partitions, p)
	req.Topics = append(req.Topics, tp)
	return req
}

// produce sends one batch and returns its answer.
func (v *victim) produce(t *testing.T, req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	c := v.dial(t)
	defer c.Close()
	resp := kmsg.NewPtrProduceResponse()
	c.ask(t, req, resp)
	return resp.Topics[0].Partitions[0]
}

// contents is what the files of a partition's folder hold.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// refuses sends a batch in every form of Produce and wants it refused with one error, and the partition's folder as it was.
func (v *victim) refuses(t *testing.T, topic string, records []byte, want *kerr.Error) {
	t.Helper()
	folder := filepath.Join(v.data, topic+"-0")
	before := contents(t, folder)
	for _, version := range []int16{3, 7, 8, 9, 12} {
		for _, acks := range []int16{1, -1} {
			p := v.produce(t, producing(version, acks, topic, bytes.Clone(records)))
			tooOld := version < 7 && records[attributesAt+1]&7 == byte(batch.Zstd) && p.ErrorCode == kerr.UnsupportedCompressionType.Code
			if p.ErrorCode != want.Code && !tooOld {
				t.Errorf("version %d, acks %d: %v (%s), want %v", version, acks, kerr.ErrorForCode(p.ErrorCode), orNothing(p.ErrorMessage), want)
			}
		}
	}
	c := v.dial(t)
	c.write(kmsg.NewRequestFormatter().AppendRequest(nil, producing(9, 0, topic, bytes.Clone(records)), 1))
	if b, err := c.receive(); err == nil || errors.Is(err, errSilent) {
		t.Errorf("acks 0: %d bytes, %v, want the connection closed", len(b), err)
	}
	after := contents(t, folder)
	for path, b := range before {
		if after[path] != b {
			t.Errorf("%s is not what it was", path)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, before %d", len(after), len(before))
	}
}

func orNothing(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestJ07BatchLies: a batch that lies about itself is refused, and the log is untouched.
func TestJ07BatchLies(t *testing.T) {
	gzipped := func(times int) []byte {
		b := batch.NewBuilder()
		b.Codec = batch.Gzip
		b.Add(time.Now().UnixMilli(), []byte("k"), []byte("v"))
		once := b.Build(nil)
		for range times - 1 { // the records of a batch that claims to be plain are compressed again
			be.PutUint16(once[attributesAt:], 0)
			packed := deflated(t, once[recordsAt:])
			once = append(once[:recordsAt], packed...)
			be.PutUint16(once[attributesAt:], uint16(batch.Gzip))
		}
		return sealed(once)
	}
	record := func(b ...byte) []byte { // a batch of one record with these bytes
		h := append(good()[:recordsAt:recordsAt], b...)
		be.PutUint32(h[countAt:], 1)
		be.PutUint32(h[lastOffsetDeltaAt:], 0)
		return sealed(h)
	}
	cut, long := good(), good()
	be.PutUint32(cut[lengthAt:], uint32(len(cut)))
	be.PutUint32(long[lengthAt:], 20)
	badSum := good()
	badSum[crcAt]++
	tests := map[string]struct {
		records []byte
		want    *kerr.Error
	}{
		"one record more":           {lie(all(put32(countAt, 3), put32(lastOffsetDeltaAt, 2))), kerr.InvalidRecord},
		"one record less":           {lie(all(put32(countAt, 1), put32(lastOffsetDeltaAt, 0))), kerr.InvalidRecord},
		"no record":                 {lie(put32(countAt, 0)), kerr.InvalidRecord},
		"-1 records":                {lie(put32(countAt, -1)), kerr.InvalidRecord},
		"2^31-1 records":            {lie(all(put32(countAt, 1<<31-1), put32(lastOffsetDeltaAt, 1<<31-2))), kerr.InvalidRecord},
		"last offset delta beyond":  {lie(put32(lastOffsetDeltaAt, 1000)), kerr.InvalidRecord},
		"last offset delta -1":      {lie(put32(lastOffsetDeltaAt, -1)), kerr.InvalidRecord},
		"base offset 5":             {lie(put64(baseOffsetAt, 5)), kerr.InvalidRecord},
		"base offset -1":            {lie(put64(baseOffsetAt, -1)), kerr.InvalidRecord},
		"message format 1":          {lie(put8(magicAt, 1)), kerr.InvalidRecord},
		"message format 3":          {lie(put8(magicAt, 3)), kerr.CorruptMessage},
		"wrong sum":                 {badSum, kerr.CorruptMessage},
		"longer than its bytes":     {cut, kerr.InvalidRecord},
		"shorter than a header":     {long, kerr.CorruptMessage},
		"plain, says gzip":          {lie(put16(attributesAt, uint16(batch.Gzip))), kerr.InvalidRecord},
		"unknown codec":             {lie(put16(attributesAt, 7)), kerr.UnsupportedCompressionType},
		"delete horizon":            {lie(put16(attributesAt, 1<<6)), kerr.InvalidRecord},
		"gzip in gzip":              {gzipped(2), kerr.InvalidRecord},
		"producer id -2":            {lie(put64(producerIDAt, -2)), kerr.InvalidRecord},
		"producer without sequence": {lie(all(put64(producerIDAt, 7), put16(producerEpochAt, 0))), kerr.InvalidRecord},
		"producer without epoch":    {lie(all(put64(producerIDAt, 7), put32(baseSequenceAt, 0))), kerr.InvalidRecord},
		"record of length -1":       {record(1), kerr.InvalidRecord},
		"record of length 2^31-1":   {record(0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0), kerr.InvalidRecord},
		"key of length -2":          {record(12, 0, 0, 0, 3, 1, 0), kerr.InvalidRecord},
		"value of length -2":        {record(12, 0, 0, 0, 1, 3, 0), kerr.InvalidRecord},
		"-1 headers":                {record(12, 0, 0, 0, 1, 1, 1), kerr.InvalidRecord},
		"record at offset 1":        {record(12, 0, 0, 2, 1, 1, 0), kerr.InvalidRecord},
		"record at offset -1":       {record(12, 0, 0, 1, 1, 1, 0), kerr.InvalidRecord},
		"bytes behind":              {record(12, 0, 0, 0, 1, 1, 0, 0), kerr.InvalidRecord},
	}
	v := startVictim(t)
	v.serves(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { v.refuses(t, "good", tt.records, tt.want) })
	}
	p := v.produce(t, producing(9, -1, "good", good()))
	if p.ErrorCode != 0 || p.BaseOffset != 1 {
		t.Errorf("the next batch: %v at offset %d", kerr.ErrorForCode(p.ErrorCode), p.BaseOffset)
	}
	v.serves(t)
}

// TestJ08ControlAndTransactionalBatches: what only a coordinator or a transaction may write is refused.
func TestJ08ControlAndTransactionalBatches(t *testing.T) {
	b := batch.NewBuilder()
	b.Control, b.ProducerID, b.ProducerEpoch, b.BaseSequence = true, 7, 0, 0
	b.Add(time.Now().UnixMilli(), []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 0}) // a commit marker
	marker := b.Build(nil)
	b.Transactional = true
	v := startVictim(t)
	v.serves(t)
	for name, tt := range map[string]struct {
		records []byte
		want    *kerr.Error
	}{
		"control batch without a producer":        {lie(put16(attributesAt, 1<<5)), kerr.InvalidRecord},
		"commit marker":                           {marker, kerr.InvalidRecord},
		"transactional without ids":               {lie(put16(attributesAt, 1<<4)), kerr.TransactionalIDAuthorizationFailed},
		"transactional without transactional id":  {lie(all(put16(attributesAt, 1<<4), put64(producerIDAt, 7), put16(producerEpochAt, 0), put32(baseSequenceAt, 0))), kerr.TransactionalIDAuthorizationFailed},
		"commit marker without transactional ids": {b.Build(nil), kerr.TransactionalIDAuthorizationFailed},
	} {
		t.Run(name, func(t *testing.T) { v.refuses(t, "good", tt.records, tt.want) })
	}
	// With a transactional id the transaction is asked about first, and nobody began one.
	id := "t"
	for name, records := range map[string][]byte{
		"commit marker":              b.Build(nil),
		"transactional, no producer": lie(put16(attributesAt, 1<<4)),
		"transactional":              lie(all(put16(attributesAt, 1<<4), put64(producerIDAt, 7), put16(producerEpochAt, 0), put32(baseSequenceAt, 0))),
	} {
		req := producing(9, -1, "good", records)
		req.TransactionID = &id
		if p := v.produce(t, req); p.ErrorCode != kerr.InvalidTxnState.Code {
			t.Errorf("with a transactional id, %s: %v (%s)", name, kerr.ErrorForCode(p.ErrorCode), orNothing(p.ErrorMessage))
		}
	}
	p := v.produce(t, producing(9, -1, "good", good()))
	if p.ErrorCode != 0 || p.BaseOffset != 1 {
		t.Errorf("the next batch: %v at offset %d", kerr.ErrorForCode(p.ErrorCode), p.BaseOffset)
	}
}
