package batch

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// ValidateOptions is what the records of a batch are checked against, beyond that they match its header.
type ValidateOptions struct {
	Partition       protocol.TopicPartition // for the words of the errors
	KeysRequired    bool                    // the topic is compacted
	Now             int64                   // milliseconds
	Timestamps      TimestampRule
	MaxDecompressed int // bytes that the records may inflate to
}

// RecordError is what is wrong with one record, as it goes into a Produce response (KIP-467).
type RecordError struct {
	Index   int32 // of the record within the batch
	Message string
}

// RecordErrors rejects a batch because of some of its records. It wraps INVALID_TIMESTAMP if a time is among the reasons, else INVALID_RECORD.
type RecordErrors struct {
	err     error
	Records []RecordError // at most maxRecordErrors: a small batch can inflate to millions of bad records
}

func (e *RecordErrors) Error() string { return e.err.Error() }
func (e *RecordErrors) Unwrap() error { return e.err }

const maxRecordErrors = 1000

// Validate walks the records of the batch b, whose header h a ValidateClient has accepted: if they are plain, for compacted topics (each record needs a key), and before a change of
// codec. It finds what a header can hide: counts, deltas, sizes and times that are not those of the records, and more bytes than there should be.
// A max timestamp that is not that of the records is mended in b and h, with a new CRC, as Kafka does.
//
// Plain batches cost a walk over their varints and no allocation; compressed ones are inflated into pooled memory up to the limit.
// Errors: *RecordErrors; INVALID_RECORD for records that do not match the header; MESSAGE_TOO_LARGE beyond MaxDecompressed.
func Validate(b []byte, h *Header, o ValidateOptions) error {
	var r Reader
	if err := r.Reset(b, o.MaxDecompressed); err != nil {
		return err
	}
	defer r.Close()
	var (
		rec      Record
		rejected rejections
		newest   = protocol.NoTimestamp
	)
	for i := int32(0); ; i++ {
		ok, err := r.Next(&rec)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if rec.offsetDelta != i {
			return protocol.Errorf(kerr.InvalidRecord, "record %d has offset delta %d", i, rec.offsetDelta)
		}
		rejected.check(i, &rec, &o)
		newest = max(newest, rec.Timestamp)
	}
	if rejected.first != nil {
		return rejected.err()
	}
	if newest != h.MaxTimestamp && !h.Attributes.LogAppendTime() && !o.Timestamps.LogAppendTime {
		setMaxTimestamp(b, newest)
		h.decode(b)
	}
	return nil
}

// rejections collects the records that a topic does not take.
type rejections struct {
	first   []RecordError
	count   int
	badTime bool
}

func (j *rejections) check(i int32, rec *Record, o *ValidateOptions) {
	if o.KeysRequired && rec.Key == nil {
		if j.add() {
			j.first = append(j.first, RecordError{i, fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s", o.Partition)})
		}
		return
	}
	if !o.Timestamps.allows(o.Now, rec.Timestamp) {
		j.badTime = true
		if j.add() {
			j.first = append(j.first, RecordError{i, outOfRange(rec.Timestamp, o.Now, o.Timestamps).Error()})
		}
	}
}

// add counts a rejection and tells whether it is still listed.
func (j *rejections) add() bool {
	j.count++
	return j.count <= maxRecordErrors
}

func (j *rejections) err() error {
	if j.badTime {
		return &RecordErrors{protocol.Errorf(kerr.InvalidTimestamp, "one or more records have been rejected due to invalid timestamp"), j.first}
	}
	return &RecordErrors{protocol.Errorf(kerr.InvalidRecord, "one or more records have been rejected due to %d record errors in total, the first: %s", j.count, j.first[0].Message), j.first}
}
