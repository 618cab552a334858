package classic

import (
	"bytes"
	"testing"
	"time"

	"ottla/log/timeline"
)

const member1, member2 = "i-11111111-2222-4333-8444-555555555555", "j-11111111-2222-4333-8444-555555555556"

// written are values of groups as Apache Kafka 4.3.1 wrote them, but for the ids of members.
var written = []string{
	// nobody is left
	"\x00\x03\x00\bconsumer\x00\x00\x00\x02\xff\xff\xff\xff\x00\x00\x01\xa2\x12\x03\xf6\x9c\x00\x00\x00\x00",
	// two static members
	"\x00\x03\x00\bconsumer\x00\x00\x00\x01\x00\x05range\x00&" + member1 + "\x00\x00\x01\xa2\x12\x03\xfbi\x00\x00\x00\x02\x00&" + member1 +
		"\x00\x01i\x00\x02cl\x00\n/127.0.0.1\x00\x00'\x10\x00\x00'\x10\x00\x00\x00\r\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x01l\x00&" + member2 +
		"\x00\x01j\x00\x02cl\x00\n/127.0.0.1\x00\x00'\x10\x00\x00'\x10\x00\x00\x00\r\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x01f",
}

func none(string) bool { return false }

func TestRecordsAreKafkas(t *testing.T) {
	for _, value := range written {
		s := New(timeline.New(), Options{MaxSize: 10})
		if err := s.Apply(key("g1"), []byte(value), none); err != nil {
			t.Fatal(err)
		}
		r := s.find("g1").record(func(m *member) []byte { return m.assignment })
		if string(r.Key) != "\x00\x02\x00\x02g1" || string(r.Value) != value {
			t.Errorf("wrote %q %q,\nwant %q", r.Key, r.Value, value)
		}
	}
	g := newGroup("g1", time.UnixMilli(0x1a21203e392))
	if r := g.newGroupRecord(); string(r.Value) != "\x00\x03\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x01\xa2\x12\x03\xe3\x92\x00\x00\x00\x00" {
		t.Errorf("wrote %q for a new group", r.Value)
	}
}

func FuzzApply(f *testing.F) {
	for _, value := range written {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		s := New(timeline.New(), Options{MaxSize: 2})
		lent := bytes.Clone(value)
		if s.Apply(key("g"), lent, none) != nil {
			return
		}
		clear(lent)
		before := s.Image("g")
		s.Loaded(time.UnixMilli(0)) // whatever it says, the group comes up
		s.Expire(time.UnixMilli(1 << 40))
		if after := s.Image("g"); after != before {
			t.Fatalf("%s became %s", before, after)
		}
	})
}

func FuzzSubscription(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		topics := map[string]bool{}
		if subscription(b, topics) && len(topics) > len(b) {
			t.Fatal("more topics than bytes")
		}
	})
}
