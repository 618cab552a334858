package wire

import "fmt"

// Header is what stands before every request's body.
//
//	key int16 · version int16 · correlation id int32 · client id nullable string (never compact) · tags (header v2: flexible versions)
type Header struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      []byte // aliases the frame; nil is null
}

const (
	keyProduce     = 0
	keyFetch       = 1
	keyAPIVersions = 18
)

// ParseHeader reads a request's header off the front of frame (without its four bytes of length) and returns the body behind it. Both alias frame. Tags of the header are
// stepped over within MaxTags and MaxTagBytes. It neither allocates nor judges: an unknown key or version is left to the caller, and its header is read as one without tags.
//
// An ApiVersions request newer than any version known here always succeeds once its first eight bytes are there, as the handler must still be able to answer
// UNSUPPORTED_VERSION in the layout of version 0 (KIP-511); its client id and body are empty when they make no sense.
func ParseHeader(frame []byte) (h Header, body []byte, err error) {
	c := cursor{b: frame}
	h.Key, h.Version, h.CorrelationID = c.int16(), c.int16(), c.int32()
	if c.bad {
		return Header{}, nil, fmt.Errorf("header of %d bytes: %w", len(frame), ErrMalformed)
	}
	h.ClientID = c.nullableString(false)
	if len(h.ClientID) > MaxClientID {
		c.fail()
	}
	if Flexible(h.Key, h.Version) {
		c.skipTags()
	}
	if !c.bad {
		return h, c.b, nil
	}
	h.ClientID = nil
	if h.Key == keyAPIVersions && h.Version > MaxVersion(keyAPIVersions) {
		return h, nil, nil
	}
	return h, nil, fmt.Errorf("header of key %d version %d: %w", h.Key, h.Version, ErrMalformed)
}

// Flexible tells whether a version of a key is flexible (KIP-482): header with tags, compact lengths, tags in the body. Unknown keys, the private ones among them, never are.
func Flexible(key, version int16) bool {
	return key >= 0 && int(key) < len(requests) && version >= requests[key].flexible
}

// FlexibleResponse tells whether the response's header has a section of tags. That of ApiVersions never has, as a client reads it before it can know what the broker speaks.
func FlexibleResponse(key, version int16) bool {
	return key != keyAPIVersions && Flexible(key, version)
}

// MaxVersion is the highest version of a key with a schema, -1 for an unknown key.
func MaxVersion(key int16) int16 {
	if key < 0 || int(key) >= len(requests) {
		return -1
	}
	return requests[key].maxVersion
}
