package runtime

import (
	"bytes"

	"ottla/log/batch"
	"ottla/protocol"
)

// transactions holds back records of transactions while a log is replayed, by producer, until a marker decides: committed ones are applied at the marker, in their order and
// with their own offsets; what is aborted, or still open at the log's end, is not applied.
//
// Only logs that another broker wrote have such records so far. When this one takes offsets into transactions, what is still open at the log's end goes to the machine: that
// is the place where Machine learns of producers and markers.
type transactions map[protocol.ProducerID][]heldRecord

type heldRecord struct {
	offset protocol.Offset
	record Record
}

// hold takes the records of a batch from an offset on; bytes are copied.
func (t transactions) hold(id protocol.ProducerID, from protocol.Offset, reader *batch.Reader) error {
	var r batch.Record
	for {
		ok, err := reader.Next(&r)
		if !ok || err != nil {
			return err
		}
		if r.Offset < from {
			continue
		}
		t[id] = append(t[id], heldRecord{r.Offset, Record{bytes.Clone(r.Key), bytes.Clone(r.Value)}})
	}
}

// end gives what a transaction held.
func (t transactions) end(id protocol.ProducerID) []heldRecord {
	records := t[id]
	delete(t, id)
	return records
}
