//go:build !race

// What is measured here is memory, and the race detector allocates too.

package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSchemaTableIsInStepWithKmsg(t *testing.T) {
	if len(requests) != kmsg.MaxKey+1 {
		t.Fatalf("%d keys, kmsg has %d: run go generate", len(requests), kmsg.MaxKey+1)
	}
	for key := range requests {
		if r := kmsg.RequestForKey(int16(key)); r.MaxVersion() != requests[key].maxVersion {
			t.Errorf("key %d: max version %d, kmsg has %d: run go generate", key, requests[key].maxVersion, r.MaxVersion())
		}
	}
	everyRequest(func(key, version int16) {
		r := kmsg.RequestForKey(key)
		r.SetVersion(version)
		if r.IsFlexible() != Flexible(key, version) {
			t.Errorf("key %d version %d: flexible %t", key, version, !r.IsFlexible())
		}
	})
}

func TestDecodeRoundTripsWhatKmsgEncodes(t *testing.T) {
	r := random(t)
	everyRequest(func(key, version int16) {
		for range 20 {
			body := encoded(r, key, version)
			req := kmsg.RequestForKey(key)
			if err := Decode(req, version, body); err != nil {
				t.Fatalf("%v\n%x", err, body)
			}
			if again := req.AppendTo(nil); !bytes.Equal(again, body) {
				t.Fatalf("key %d version %d: decoded otherwise\n%x\n%x", key, version, body, again)
			}
		}
	})
}

func TestCheckRefusesEveryTruncationAndTrailingByte(t *testing.T) {
	r := random(t)
	everyRequest(func(key, version int16) {
		body := encoded(r, key, version)
		for n := range body {
			if _, err := Check(key, version, body[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("key %d version %d cut from %d to %d bytes: %v", key, version, len(body), n, err)
			}
		}
		if _, err := Check(key, version, append(body, 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("key %d version %d with a byte too much: %v", key, version, err)
		}
	})
}

// checkedDecode decodes and fails the test if that allocated more than the contract allows or than Check foretold.
func checkedDecode(t *testing.T, key, version int16, body []byte) {
	t.Helper()
	const slack = 16 << 10 // what the runtime itself allocates meanwhile, and an error's text
	req := kmsg.RequestForKey(key)
	foretold, _ := Check(key, version, body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := Decode(req, version, body)
	runtime.ReadMemStats(&after)
	took := int(after.TotalAlloc - before.TotalAlloc)
	if limit := max(4*len(body), 4<<20) + slack; took > limit {
		t.Fatalf("key %d version %d: %d bytes allocated for %d, limit %d (%v)", key, version, took, len(body), limit, err)
	}
	if took > foretold+slack {
		t.Fatalf("key %d version %d: %d bytes allocated for %d, %d foretold (%v)", key, version, took, len(body), foretold, err)
	}
}

func TestDecodeAllocatesNoMoreThanForetold(t *testing.T) {
	r := random(t)
	everyRequest(func(key, version int16) {
		checkedDecode(t, key, version, encoded(r, key, version))
	})
	for _, size := range []int{300, 4_000, 33_000, 1 << 20} { // arrays on every side of the allocator's steps
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 9
		req.Topics = make([]kmsg.MetadataRequestTopic, size/20)
		for i := range req.Topics {
			req.Topics[i].Topic = kmsg.StringPtr("abcdefghijklmno")
		}
		checkedDecode(t, req.Key(), req.Version, req.AppendTo(nil))
	}
}

func TestDecodeCountsUnknownTags(t *testing.T) {
	for n := 1; n <= MaxTags; n++ {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 9
		req.Topics = make([]kmsg.MetadataRequestTopic, 200)
		for i := range req.Topics {
			req.Topics[i].Topic = kmsg.StringPtr("t")
			for tag := range n {
				req.Topics[i].UnknownTags.Set(uint32(tag), nil)
			}
		}
		checkedDecode(t, req.Key(), req.Version, req.AppendTo(nil))
	}
}

// bomb is a body of n zero bytes whose first array claims as many elements as the bytes left.
func bomb(key, version int16, n int) (bodies [][]byte) {
	for at := range 40 {
		long, short := make([]byte, n), make([]byte, n)
		binary.BigEndian.PutUint32(long[at:], uint32(n-at-4))
		binary.PutUvarint(short[at:], uint64(n-at-3))
		bodies = append(bodies, long, short)
	}
	return bodies
}

func TestDecodeOfClaimedCountsIsBounded(t *testing.T) {
	for key := range requests {
		for _, version := range []int16{0, requests[key].maxVersion} {
			for _, body := range bomb(int16(key), version, 64<<10) {
				checkedDecode(t, int16(key), version, body)
			}
		}
	}
}

func TestDecodeTooLarge(t *testing.T) {
	// An empty topic name, no partitions, no tags: 6 bytes each on the wire, 80 and more in memory.
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = make([]kmsg.CreateTopicsRequestTopic, 100_000)
	req.Version = 7
	body := req.AppendTo(nil)
	if err := Decode(kmsg.NewPtrCreateTopicsRequest(), 7, body); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
	checkedDecode(t, req.Key(), 7, body)
}

func TestCheckBounds(t *testing.T) {
	tagSection := func(count, size int) []byte {
		b := []byte{0, 0} // ListGroups v5: two empty arrays... of strings
		b[0], b[1] = 1, 1
		b = binary.AppendUvarint(b, uint64(count))
		for i := range count {
			b = binary.AppendUvarint(b, uint64(i+50))
			b = binary.AppendUvarint(b, uint64(size))
			b = append(b, make([]byte, size)...)
		}
		return b
	}
	for _, c := range []struct {
		name         string
		key, version int16
		body         []byte
		want         error
	}{
		{"unknown key", 999, 0, nil, ErrUnsupported},
		{"negative key", -1, 0, nil, ErrUnsupported},
		{"version too new", 16, 6, nil, ErrUnsupported},
		{"negative version", 16, -1, nil, ErrUnsupported},
		{"most tags", 16, 5, tagSection(MaxTags, 0), nil},
		{"too many tags", 16, 5, tagSection(MaxTags+1, 0), ErrMalformed},
		{"largest tags", 16, 5, tagSection(2, MaxTagBytes/2), nil},
		{"too large tags", 16, 5, tagSection(2, MaxTagBytes/2+1), ErrMalformed},
		{"null array", 20, 0, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, ErrMalformed},
		{"null array where allowed", 3, 1, []byte{0xff, 0xff, 0xff, 0xff}, nil},
		{"null array where not yet allowed", 3, 0, []byte{0xff, 0xff, 0xff, 0xff}, ErrMalformed},
		{"negative count", 3, 1, []byte{0xff, 0xff, 0xff, 0xfe}, ErrMalformed},
		{"negative string", 17, 0, []byte{0xff, 0xfe}, ErrMalformed},
		{"uvarint beyond 32 bits", 3, 9, []byte{0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}, ErrMalformed},
		{"uvarint of six bytes", 3, 9, []byte{0x81, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 0, 0}, ErrMalformed},
		{"uvarint longer than needed", 3, 9, []byte{0x81, 0x80, 0x80, 0, 0, 0, 0, 0}, nil},
	} {
		if _, err := Check(c.key, c.version, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	r := random(t)
	everyRequest(func(key, version int16) {
		body := encoded(r, key, version)
		if n := testing.AllocsPerRun(1, func() { _, _ = Check(key, version, body) }); n != 0 {
			t.Errorf("key %d version %d: %v allocations", key, version, n)
		}
	})
}

// FuzzDecode holds Decode to its contract for any bytes: no panic, and no more memory than it may cost.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	everyRequest(func(key, version int16) {
		f.Add(key, version, encoded(r, key, version))
	})
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if key < 0 || int(key) >= len(requests) {
			if _, err := Check(key, version, body); !errors.Is(err, ErrUnsupported) {
				t.Fatalf("key %d: %v", key, err)
			}
			return
		}
		checkedDecode(t, key, version, body)
	})
}

func BenchmarkCheck(b *testing.B) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 7
	req.Topics = make([]kmsg.ListOffsetsRequestTopic, 10)
	for i := range req.Topics {
		req.Topics[i].Topic = "topic"
		req.Topics[i].Partitions = make([]kmsg.ListOffsetsRequestTopicPartition, 10)
	}
	body := req.AppendTo(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Check(req.Key(), req.Version, body); err != nil {
			b.Fatal(err)
		}
	}
}
