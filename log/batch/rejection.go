package batch

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

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

const maxRecordErrors = 10_000

// rejections collects the records that a topic does not take.
type rejections struct {
	first   []RecordError
	count   int
	badTime bool
}

// check asks for the key first, and for the time only of a record that has what it needs, as Kafka does.
func (j *rejections) check(i int32, rec *Record, o *ValidateOptions) {
	if o.KeysRequired && rec.Key == nil {
		if j.add() {
			j.first = append(j.first, RecordError{i, fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s", o.Partition)})
		}
		return
	}
	if o.stamped && o.Timestamps.LogAppendTime {
		j.badTime = true
		if j.add() {
			j.first = append(j.first, RecordError{i, fmt.Sprintf("Invalid timestamp type in message with offset %d. Producer should not set timestamp type to LogAppendTime.", rec.Offset)})
		}
	} else if !o.Timestamps.allows(o.Now, rec.Timestamp) {
		j.badTime = true
		if j.add() {
			first, last := o.Timestamps.window(o.Now)
			j.first = append(j.first, RecordError{i, fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]", rec.Timestamp, rec.Offset, first, last)})
		}
	}
}

// add counts a rejection and tells whether it is still listed.
func (j *rejections) add() bool {
	j.count++
	return j.count <= maxRecordErrors
}

// err is nil if no record was rejected.
func (j *rejections) err() error {
	switch {
	case j.count == 0:
		return nil
	case j.badTime:
		return &RecordErrors{protocol.Errorf(kerr.InvalidTimestamp, "one or more records have been rejected due to invalid timestamp"), j.first}
	}
	return &RecordErrors{protocol.Errorf(kerr.InvalidRecord, "one or more records have been rejected due to %d record errors in total, the first: %s", j.count, j.first[0].Message), j.first}
}
