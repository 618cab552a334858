package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// header builds a request's header by hand.
func header(key, version int16, correlation int32, client *string, tags ...byte) []byte {
	b := appendInt16(nil, key)
	b = appendInt16(b, version)
	b = appendInt32(b, correlation)
	b = appendNullableString(b, client, false)
	return append(b, tags...)
}

func TestParseHeader(t *testing.T) {
	name := func(s string) *string { return &s }
	for _, c := range []struct {
		what  string
		frame []byte
		want  Header
		body  string
		err   error
	}{
		{"version 1", append(header(3, 4, 7, name("me")), "body"...), Header{3, 4, 7, []byte("me")}, "body", nil},
		{"version 2", append(header(3, 9, 7, name("me"), 0), "body"...), Header{3, 9, 7, []byte("me")}, "body", nil},
		{"version 2 with tags", append(header(3, 9, 7, name("me"), 2, 0, 3, 'a', 'b', 'c', 9, 0), "body"...), Header{3, 9, 7, []byte("me")}, "body", nil},
		{"null client id", append(header(3, 4, -7, nil), "body"...), Header{3, 4, -7, nil}, "body", nil},
		{"empty client id", header(3, 4, 7, name("")), Header{3, 4, 7, []byte{}}, "", nil},
		{"unknown key", append(header(999, 4, 7, name("me")), "body"...), Header{999, 4, 7, []byte("me")}, "body", nil},
		{"private key", append(header(10_001, 0, 7, name("me")), "body"...), Header{10_001, 0, 7, []byte("me")}, "body", nil},
		{"negative key", append(header(-1, -1, 7, name("me")), "body"...), Header{-1, -1, 7, []byte("me")}, "body", nil},
		{"empty frame", nil, Header{}, "", ErrMalformed},
		{"seven bytes", make([]byte, 7), Header{}, "", ErrMalformed},
		{"no client id", header(3, 4, 7, nil)[:8], Header{3, 4, 7, nil}, "", ErrMalformed},
		{"client id beyond the frame", header(3, 4, 7, name("me"))[:11], Header{3, 4, 7, nil}, "", ErrMalformed},
		{"client id of length -2", append(header(3, 4, 7, nil)[:8], 0xff, 0xfe), Header{3, 4, 7, nil}, "", ErrMalformed},
		{"client id too long", header(3, 4, 7, name(strings.Repeat("x", MaxClientID+1))), Header{3, 4, 7, nil}, "", ErrMalformed},
		{"too many tags", header(3, 9, 7, nil, append([]byte{MaxTags + 1}, make([]byte, 2*MaxTags+2)...)...), Header{3, 9, 7, nil}, "", ErrMalformed},
		{"four billion tags", header(3, 9, 7, nil, 0xff, 0xff, 0xff, 0xff, 0x0f), Header{3, 9, 7, nil}, "", ErrMalformed},
		{"a tag beyond the frame", header(3, 9, 7, nil, 1, 0, 5, 'x'), Header{3, 9, 7, nil}, "", ErrMalformed},
		{"ApiVersions too new", append(header(18, 99, 7, name("me"), 0), "body"...), Header{18, 99, 7, []byte("me")}, "body", nil},
		{"ApiVersions too new, senseless behind the correlation id", header(18, 99, 7, nil)[:8], Header{18, 99, 7, nil}, "", nil},
		{"ApiVersions known, senseless", header(18, 3, 7, nil)[:8], Header{18, 3, 7, nil}, "", ErrMalformed},
	} {
		h, body, err := ParseHeader(c.frame)
		if !errors.Is(err, c.err) || h.Key != c.want.Key || h.Version != c.want.Version || h.CorrelationID != c.want.CorrelationID ||
			!bytes.Equal(h.ClientID, c.want.ClientID) || (h.ClientID == nil) != (c.want.ClientID == nil) || string(body) != c.body {
			t.Errorf("%s: %+v, body %q, %v", c.what, h, body, err)
		}
	}
}

func TestParseHeaderBoundsTagBytes(t *testing.T) {
	for size, want := range map[int]error{MaxTagBytes: nil, MaxTagBytes + 1: ErrMalformed} {
		tags := binary.AppendUvarint([]byte{1, 0}, uint64(size))
		_, _, err := ParseHeader(header(3, 9, 7, nil, append(tags, make([]byte, size)...)...))
		if !errors.Is(err, want) {
			t.Errorf("%d bytes of tags: %v", size, err)
		}
	}
}

func TestParseHeaderReadsWhatKmsgWrites(t *testing.T) {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("client"))
	everyRequest(func(key, version int16) {
		if key == 7 && version == 0 {
			return // ControlledShutdown v0 alone has no client id; no broker of this century is sent one
		}
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		frame := f.AppendRequest(nil, req, 42)[4:]
		h, body, err := ParseHeader(frame)
		if err != nil || h.Key != key || h.Version != version || h.CorrelationID != 42 || string(h.ClientID) != "client" || !bytes.Equal(body, req.AppendTo(nil)) {
			t.Errorf("key %d version %d: %+v, %x, %v", key, version, h, body, err)
		}
	})
}

func TestFlexibleResponse(t *testing.T) {
	for _, c := range []struct {
		key, version int16
		want         bool
	}{{18, 0, false}, {18, 3, false}, {18, 99, false}, {0, 8, false}, {0, 9, true}, {1, 12, true}, {17, 1, false}, {999, 0, false}, {-1, 0, false}} {
		if got := FlexibleResponse(c.key, c.version); got != c.want {
			t.Errorf("key %d version %d: %t", c.key, c.version, got)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(header(18, 99, 7, nil, 1, 0, 1, 1))
	f.Add(header(3, 9, 7, nil, 1, 0, 1, 1))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseHeader(frame)
		if err == nil && (len(h.ClientID) > MaxClientID || len(body) > len(frame)-8) {
			t.Fatalf("%+v, body of %d out of %d", h, len(body), len(frame))
		}
	})
}

func BenchmarkParseHeader(b *testing.B) {
	client := "rdkafka"
	frame := append(header(0, 9, 7, &client, 0), make([]byte, 100)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseHeader(frame); err != nil {
			b.Fatal(err)
		}
	}
}
