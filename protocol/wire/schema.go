package wire

// request describes one API key's request.
type request struct {
	maxVersion int16  // -1: no such key
	flexible   int16  // first flexible version; math.MaxInt16 is none
	root       uint16 // index into structs
}

// kind is how a field looks on the wire.
type kind uint8

const (
	kindFixed    kind = iota // size bytes
	kindString               // UTF-8, length int16 or compact
	kindBytes                // length int32 or compact; kmsg keeps a slice of the frame
	kindArray                // of structs, or of what the next field says (elem)
	kindStruct               // inline
	kindOptional             // an int8, -1 for absent, then a struct
)

// always is the version bound of what never ends, and the first nullable version of what is never null.
const always = 127

// field is one field of a struct in the order of the wire, tagged fields last.
//
// Fields are reached only through a span of fields; an array's elements are a span of their own, of which a plain element (a string, a number) is the only field.
type field struct {
	kind     kind
	from, to int8   // versions with this field, inclusive; to == always is open
	null     int8   // first version in which it may be null; always is never
	tag      int8   // -1: not tagged
	size     uint16 // kindFixed: bytes on the wire; kindArray, kindOptional: bytes that one element takes in kmsg's Go type; kindString: bytes beside the text itself
	sub      uint16 // kindArray, kindStruct, kindOptional: index into structs
}

// span is a struct: fields[first : first+count], and a section of tags at its end in flexible versions.
type span struct {
	first uint16
	count uint8
	plain bool // an array's element that is no struct: no section of tags
}
