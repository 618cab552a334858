package wire

import (
	"encoding/binary"

	"ottla/protocol"
)

// The append functions mirror cursor's reads. Lengths come from our own code, so none is checked.

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// appendLength writes the length or count of something with an int32 length (arrays, bytes, records); -1 is null.
func appendLength(b []byte, n int, flexible bool) []byte {
	if flexible {
		return appendUvarint(b, uint64(n+1))
	}
	return appendInt32(b, int32(n))
}

func appendString[S string | []byte](b []byte, s S, flexible bool) []byte {
	if flexible {
		b = appendUvarint(b, uint64(len(s)+1))
	} else {
		b = appendInt16(b, int16(len(s)))
	}
	return append(b, s...)
}

func appendNullableString(b []byte, s *string, flexible bool) []byte {
	switch {
	case s != nil:
		return appendString(b, *s, flexible)
	case flexible:
		return append(b, 0)
	default:
		return append(b, 0xff, 0xff)
	}
}

func uvarintSize(v int) (n int) {
	for n = 1; v >= 0x80; n++ {
		v >>= 7
	}
	return n
}

// CurrentLeader tells a client where to go instead (KIP-951). The zero value is "not told"; see Told.
type CurrentLeader struct {
	ID    protocol.BrokerID
	Epoch protocol.LeaderEpoch
	Told  bool
}

const currentLeaderSize = 4 + 4 + 1 // id, epoch, no tags

// appendTag writes the front of the tagged field of a current leader and the field.
func (l CurrentLeader) appendTag(b []byte, tag byte) []byte {
	b = append(b, tag, currentLeaderSize)
	b = appendInt32(b, int32(l.ID))
	b = appendInt32(b, int32(l.Epoch))
	return append(b, 0)
}

// NodeEndpoint is where a broker named by a CurrentLeader listens.
type NodeEndpoint struct {
	NodeID protocol.BrokerID
	Host   string
	Port   int32
	Rack   *string // nil: none
}

func (e *NodeEndpoint) size() int {
	n := 4 + uvarintSize(len(e.Host)+1) + len(e.Host) + 4 + 1 + 1
	if e.Rack != nil {
		n += uvarintSize(len(*e.Rack)+1) - 1 + len(*e.Rack)
	}
	return n
}

// appendEndpoints ends a flexible body: its section of tags, which holds the endpoints as tag 0 if there are any and the version has them.
func appendEndpoints(b []byte, endpoints []NodeEndpoint) []byte {
	if len(endpoints) == 0 {
		return append(b, 0)
	}
	size := uvarintSize(len(endpoints) + 1)
	for i := range endpoints {
		size += endpoints[i].size()
	}
	b = append(b, 1, 0)
	b = appendUvarint(b, uint64(size))
	b = appendUvarint(b, uint64(len(endpoints)+1))
	for i := range endpoints {
		e := &endpoints[i]
		b = appendInt32(b, int32(e.NodeID))
		b = appendString(b, e.Host, true)
		b = appendInt32(b, e.Port)
		b = appendNullableString(b, e.Rack, true)
		b = append(b, 0)
	}
	return b
}
