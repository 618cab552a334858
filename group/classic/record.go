package classic

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

// The versions that Apache Kafka 4.x writes; it can read a value of version 4, the first flexible one.
const (
	keyVersion       = 2
	valueVersion     = 3
	maxValueVersion  = 4
	unknownTimestamp = protocol.NoTimestamp
)

// image is what the log says of a group. It is never changed.
type image struct {
	kmsg.GroupMetadataValue
	// simple is a group of which the log holds but offsets: somebody commits without being a member of anything.
	simple bool
}

var simpleGroup = &image{simple: true}

func (i *image) changedAt() time.Time {
	if i.simple || i.CurrentStateTimestamp == unknownTimestamp {
		return time.Time{}
	}
	return time.UnixMilli(i.CurrentStateTimestamp)
}

// decodeImage reads a value. It keeps none of b.
func decodeImage(b []byte) (*image, error) {
	if len(b) < 2 {
		return nil, fmt.Errorf("metadata of a group in %d bytes", len(b))
	}
	if version := int16(b[0])<<8 | int16(b[1]); version < 0 || version > maxValueVersion {
		return nil, fmt.Errorf("metadata of a group in version %d, this broker reads up to %d", version, maxValueVersion)
	}
	i := &image{GroupMetadataValue: kmsg.GroupMetadataValue{CurrentStateTimestamp: unknownTimestamp}}
	if err := i.UnsafeReadFrom(bytes.Clone(b)); err != nil {
		return nil, fmt.Errorf("metadata of a group: %w", err)
	}
	return i, nil
}

func key(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: keyVersion, Group: group}
	return k.AppendTo(nil)
}

// Tombstone is the record that says a group is gone.
func Tombstone(group string) runtime.Record { return runtime.Record{Key: key(group)} }

// record says what the group is, with the given assignments by member.
func (g *group) record(assignments func(*member) []byte) runtime.Record {
	v := kmsg.GroupMetadataValue{Version: valueVersion, ProtocolType: g.protocolType, Generation: g.generation, CurrentStateTimestamp: unknownTimestamp}
	if !g.since.IsZero() {
		v.CurrentStateTimestamp = g.since.UnixMilli()
	}
	if g.protocol != "" {
		v.Protocol = &g.protocol
	}
	if g.leader != nil {
		v.Leader = &g.leader.id
	}
	for _, m := range g.members {
		v.Members = append(v.Members, kmsg.GroupMetadataValueMember{
			MemberID: m.id, InstanceID: m.instance, ClientID: m.client.ID, ClientHost: m.client.Host,
			RebalanceTimeoutMillis: int32(m.rebalanceTimeout.Milliseconds()), SessionTimeoutMillis: int32(m.sessionTimeout.Milliseconds()),
			Subscription: m.metadata(g.protocol), Assignment: assignments(m),
		})
	}
	return runtime.Record{Key: key(g.id), Value: v.AppendTo(nil)}
}

// newGroupRecord says that a group exists and that nobody was ever in it.
func (g *group) newGroupRecord() runtime.Record {
	v := kmsg.GroupMetadataValue{Version: valueVersion, CurrentStateTimestamp: g.since.UnixMilli()}
	return runtime.Record{Key: key(g.id), Value: v.AppendTo(nil)}
}

// Apply replays a record of the group key's version 2. It keeps none of the bytes. hasOffsets tells whether offsets of the group are committed: those keep a group alive, as a simple
// one, beyond its tombstone.
func (s *Groups) Apply(key, value []byte, hasOffsets func(group string) bool) error {
	var k kmsg.GroupMetadataKey
	if err := k.UnsafeReadFrom(key); err != nil {
		return fmt.Errorf("key of a group: %w", err)
	}
	if value == nil {
		if hasOffsets(k.Group) {
			s.images.Set(strings.Clone(k.Group), simpleGroup)
		} else {
			s.images.Delete(strings.Clone(k.Group)) // the timeline keeps it, to bring the group back
		}
		return nil
	}
	i, err := decodeImage(value)
	if err != nil {
		return fmt.Errorf("group %q: %w", k.Group, err)
	}
	s.images.Set(strings.Clone(k.Group), i)
	return nil
}

// ApplyOffset says that an offset of the group was committed: the group exists, if only as a simple one. It keeps no byte of its name.
func (s *Groups) ApplyOffset(group string) {
	if _, ok := s.images.Get(group); !ok {
		s.images.Set(strings.Clone(group), simpleGroup)
	}
}

// String shows an image to people.
func (i *image) String() string {
	text := fmt.Sprintf("generation=%d", i.Generation)
	if i.ProtocolType != "" {
		text += " type=" + i.ProtocolType
	}
	if i.Protocol != nil {
		text += " protocol=" + *i.Protocol
	}
	if i.Leader != nil {
		text += " leader=" + *i.Leader
	}
	for n := range i.Members {
		m := &i.Members[n]
		text += fmt.Sprintf(" [%s", m.MemberID)
		if m.InstanceID != nil {
			text += " instance=" + *m.InstanceID
		}
		text += fmt.Sprintf(" assigned=%q]", m.Assignment)
	}
	return text
}
