package batch

import "ottla/protocol"

// TimestampOffset is a record's place in time and in the log.
type TimestampOffset struct {
	Timestamp int64 // milliseconds
	Offset    protocol.Offset
}

// FirstAtOrAfter finds the first record of the batch at the start of b whose time is ts or later; false if there is none.
// Errors: those of Reader. Records before one that does not parse are still found.
func FirstAtOrAfter(b []byte, ts int64, maxDecompressed int) (TimestampOffset, bool, error) {
	var r Reader
	if err := r.Reset(b, maxDecompressed); err != nil {
		return TimestampOffset{}, false, err
	}
	defer r.Close()
	var rec Record
	for {
		if ok, err := r.Next(&rec); !ok || err != nil {
			return TimestampOffset{}, false, err
		}
		if rec.Timestamp >= ts {
			return TimestampOffset{rec.Timestamp, rec.Offset}, true, nil
		}
	}
}

// Newest finds the first record with the greatest time in the batch at the start of b (ListOffsets with MAX_TIMESTAMP); false if the batch has no records.
// Errors: those of Reader.
func Newest(b []byte, maxDecompressed int) (TimestampOffset, bool, error) {
	var r Reader
	if err := r.Reset(b, maxDecompressed); err != nil {
		return TimestampOffset{}, false, err
	}
	defer r.Close()
	var (
		rec    Record
		newest TimestampOffset
		found  bool
	)
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			return TimestampOffset{}, false, err
		}
		if !ok {
			return newest, found, nil
		}
		if !found || rec.Timestamp > newest.Timestamp {
			newest, found = TimestampOffset{rec.Timestamp, rec.Offset}, true
		}
	}
}
