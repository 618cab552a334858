package wire

import "errors"

// What is wrong with a request. None has a code on the wire: as in Kafka, the connection is closed.
var (
	// ErrMalformed: the bytes do not follow the key's schema.
	ErrMalformed = errors.New("malformed request")
	// ErrTooLarge: decoding would allocate out of proportion to the frame.
	ErrTooLarge = errors.New("request too large to decode")
	// ErrUnsupported: no schema for this key and version.
	ErrUnsupported = errors.New("unsupported key or version")
)
