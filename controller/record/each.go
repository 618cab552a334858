package record

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Each reads Encode's form and hands the records to f, in order. A record is valid until f returns, but its strings and pointers to scalars may be kept. The error
// is ErrMalformed or ErrNewer, with the number of the record; f has seen those before it.
//
// It allocates at most 4 bytes for each byte of b (a list of small numbers takes the most) and 64 KiB. A message is many times larger in memory than on disk, so each
// kind has one that is used again and again, and what nobody writes is refused before anything is allocated for it.
func Each(b []byte, f func(*Record)) error {
	if len(b) > MaxSize {
		return fmt.Errorf("decode: %d bytes: %w", len(b), ErrMalformed)
	}
	if len(b) == 0 {
		return fmt.Errorf("decode: no format version: %w", ErrMalformed)
	}
	if b[0] > FormatVersion {
		return fmt.Errorf("decode: format version %d: %w", b[0], ErrNewer)
	}
	count, n := protowire.ConsumeVarint(b[1:])
	if b[0] == 0 || n < 0 || count > MaxCount || count > uint64(len(b)) {
		return fmt.Errorf("decode: format version %d, %d records: %w", b[0], count, ErrMalformed)
	}
	b = b[1+n:]
	d := decoder{}
	for i := range int(count) {
		body, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return fmt.Errorf("decode record %d: size: %w", i, ErrMalformed)
		}
		r, err := d.decode(body)
		if err != nil {
			return fmt.Errorf("decode record %d: %w", i, err)
		}
		f(r)
		b = b[n:]
	}
	if len(b) != 0 {
		return fmt.Errorf("decode: %d bytes after the last record: %w", len(b), ErrMalformed)
	}
	return nil
}

// kinds is the oneof of Record, with a field for each kind.
func kinds() protoreflect.OneofDescriptor {
	return (*Record)(nil).ProtoReflect().Descriptor().Oneofs().Get(0)
}

// maxNested is how many endpoints, and how many features, one registration may have; decide allows a few hundred.
const maxNested = 1024

// decoder holds the messages that are used again.
type decoder struct {
	records   map[protowire.Number]*Record // one of each kind
	endpoints []*Endpoint
	features  []*FeatureRange
	lists     [4]BrokerList
	rest      []byte // the fields of a record without its nested messages
}

// decode reads one record.
func (d *decoder) decode(b []byte) (*Record, error) {
	number, wire, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, ErrMalformed
	}
	kind := kinds().Fields().ByNumber(number)
	if kind == nil {
		return nil, fmt.Errorf("kind %d: %w", number, ErrNewer)
	}
	body, m := protowire.ConsumeBytes(b[n:])
	if wire != protowire.BytesType || m < 0 || n+m != len(b) {
		return nil, fmt.Errorf("kind %d: %w", number, ErrMalformed)
	}
	if err := outline(kind.Message(), body); err != nil {
		return nil, fmt.Errorf("kind %d: %w", number, err)
	}
	r := d.record(kind)
	err := d.fill(r, body)
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return nil, fmt.Errorf("kind %d: %w", number, err)
	}
	return r, nil
}

// record is the message of a kind.
func (d *decoder) record(kind protoreflect.FieldDescriptor) *Record {
	r := d.records[kind.Number()]
	if r == nil {
		r = &Record{}
		r.ProtoReflect().Mutable(kind)
		if d.records == nil {
			d.records = map[protowire.Number]*Record{}
		}
		d.records[kind.Number()] = r
	}
	return r
}

// outline looks at a message before anything is allocated: every field is one that we know, in the form that Encode gives it, and comes once unless it is repeated.
func outline(of protoreflect.MessageDescriptor, b []byte) error {
	seen, nested := uint64(0), 0 // our field numbers are below 64
	for len(b) > 0 {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		field := of.Fields().ByNumber(number)
		if field == nil {
			return fmt.Errorf("%s has an unknown field %d: %w", of.Name(), number, ErrNewer)
		}
		size := protowire.ConsumeFieldValue(number, wire, b[n:])
		if size < 0 || wire != wireType(field) {
			return fmt.Errorf("%s, field %d: %w", of.Name(), number, ErrMalformed)
		}
		again := seen&(1<<number) != 0
		seen |= 1 << number
		if field.Kind() == protoreflect.MessageKind {
			if nested++; nested > 2*maxNested {
				return fmt.Errorf("%s has more than %d nested messages: %w", of.Name(), 2*maxNested, ErrMalformed)
			}
			inner, _ := protowire.ConsumeBytes(b[n:])
			if err := outline(field.Message(), inner); err != nil {
				return err
			}
		}
		if again && (!field.IsList() || field.IsPacked()) {
			return fmt.Errorf("%s, field %d comes twice: %w", of.Name(), number, ErrMalformed)
		}
		b = b[n+size:]
	}
	return nil
}

// wireType is how Encode writes a field: our numbers are all varints.
func wireType(field protoreflect.FieldDescriptor) protowire.Type {
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	if field.IsPacked() {
		return protowire.BytesType
	}
	return protowire.VarintType
}

// fill reads body, which outline accepted, into r's message.
func (d *decoder) fill(r *Record, body []byte) error {
	switch k := r.Kind.(type) {
	case *Record_BrokerRegistration:
		b := k.BrokerRegistration
		return d.fillRegistration(b, body, &b.Endpoints, &b.Features)
	case *Record_ControllerRegistration:
		c := k.ControllerRegistration
		return d.fillRegistration(c, body, &c.Endpoints, &c.Features)
	case *Record_PartitionChange:
		return d.fillChange(k.PartitionChange, body)
	}
	return unmarshal(body, kindOf(r))
}

// kindOf is the message inside r.
func kindOf(r *Record) proto.Message {
	m := r.ProtoReflect()
	return m.Get(m.WhichOneof(kinds())).Message().Interface()
}

func unmarshal(b []byte, m proto.Message) error {
	if err := proto.Unmarshal(b, m); err != nil { // it resets m
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// nested hands the messages among the fields of b to f, and returns the other fields.
func (d *decoder) nested(of protoreflect.MessageDescriptor, b []byte, f func(number protowire.Number, body []byte) error) ([]byte, error) {
	d.rest = d.rest[:0]
	for len(b) > 0 {
		number, wire, tag := protowire.ConsumeTag(b)
		size := tag + protowire.ConsumeFieldValue(number, wire, b[tag:])
		if of.Fields().ByNumber(number).Kind() == protoreflect.MessageKind {
			body, _ := protowire.ConsumeBytes(b[tag:])
			if err := f(number, body); err != nil {
				return nil, err
			}
		} else {
			d.rest = append(d.rest, b[:size]...)
		}
		b = b[size:]
	}
	return d.rest, nil
}

// fillRegistration reads a broker's or a controller's registration, to whose fields the lists point.
func (d *decoder) fillRegistration(k proto.Message, body []byte, listeners *[]*Endpoint, ranges *[]*FeatureRange) error {
	endpoints, features := 0, 0
	rest, err := d.nested(k.ProtoReflect().Descriptor(), body, func(number protowire.Number, body []byte) error {
		if number == endpointsField {
			endpoints++
			return unmarshal(body, reuse(&d.endpoints, endpoints))
		}
		features++
		return unmarshal(body, reuse(&d.features, features))
	})
	if err == nil {
		err = unmarshal(rest, k)
	}
	*listeners, *ranges = d.endpoints[:endpoints], d.features[:features]
	return err
}

// reuse is the nth message of a list, which grows by one if need be.
func reuse[T any](list *[]*T, n int) *T {
	if n > len(*list) {
		*list = append(*list, new(T))
	}
	return (*list)[n-1]
}

func (d *decoder) fillChange(k *PartitionChange, body []byte) error {
	var lists [4]*BrokerList
	rest, err := d.nested(k.ProtoReflect().Descriptor(), body, func(number protowire.Number, body []byte) error {
		n := slices.Index(listFields[:], number)
		lists[n] = &d.lists[n]
		return unmarshal(body, lists[n])
	})
	if err == nil {
		err = unmarshal(rest, k)
	}
	k.Isr, k.Replicas, k.Elr, k.LastKnownElr = lists[0], lists[1], lists[2], lists[3]
	return err
}

// The fields that hold messages, of metadata.proto: of both registrations (the other one is features), and of PartitionChange in the order of fillChange.
const endpointsField = 4

var listFields = [4]protowire.Number{3, 5, 7, 8}
