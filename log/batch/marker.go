package batch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// The record of a control batch says in its key what it is (numbers big-endian):
//
//	key    version 2 (0), type 2
//	value  of ABORT and COMMIT: version 2 (0), coordinator epoch 4
const (
	markerKeySize   = 4
	markerValueSize = 6
)

// MarkerType is the type in a control record's key.
type MarkerType int16

const (
	MarkerAbort  MarkerType = 0
	MarkerCommit MarkerType = 1
)

// Marker ends a transaction (KIP-98).
type Marker struct {
	Type             MarkerType
	CoordinatorEpoch int32
}

// ParseMarker reads the first record of a control batch. False without error: an empty batch, or a control record of another type, which means nothing to a
// partition's log. Errors: those of Reader, and INVALID_RECORD for a record that is too short.
func ParseMarker(b []byte, maxDecompressed int) (m Marker, ok bool, err error) {
	var r Reader
	if err := r.Reset(b, maxDecompressed); err != nil {
		return Marker{}, false, err
	}
	defer r.Close()
	var rec Record
	if ok, err := r.Next(&rec); !ok || err != nil {
		return Marker{}, false, err
	}
	if len(rec.Key) < markerKeySize {
		return Marker{}, false, protocol.Errorf(kerr.InvalidRecord, "control record has a key of %d bytes", len(rec.Key))
	}
	m.Type = MarkerType(be.Uint16(rec.Key[2:]))
	if m.Type != MarkerAbort && m.Type != MarkerCommit {
		return Marker{}, false, nil
	}
	if len(rec.Value) < markerValueSize {
		return Marker{}, false, protocol.Errorf(kerr.InvalidRecord, "transaction marker has a value of %d bytes", len(rec.Value))
	}
	m.CoordinatorEpoch = int32(be.Uint32(rec.Value[2:]))
	return m, true, nil
}

// AddMarker appends a transaction marker; the batch must be Control and Transactional.
func (b *Builder) AddMarker(timestamp int64, m Marker) {
	key := be.AppendUint16(make([]byte, 2, markerKeySize), uint16(m.Type))
	value := be.AppendUint32(make([]byte, 2, markerValueSize), uint32(m.CoordinatorEpoch))
	b.Add(timestamp, key, value)
}
