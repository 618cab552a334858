package offsets

import (
	"bytes"
	"testing"

	"ottla/log/timeline"
	"ottla/protocol"
)

// written are records as Apache Kafka 4.3.1 wrote them.
var written = []struct {
	key, value string
	tp         protocol.TopicPartition
	commit     Commit
}{
	{ // a commit of version 10, or of an earlier one for a topic that exists
		"\x00\x01\x00\x02g1\x00\x01t\x00\x00\x00\x01",
		"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x03\x02m\x00\x00\x01\xa2\x12\x03\xed\x55\x01\x00\x10`\xc9\xc8\xe1\x81\xfdB\x15\x9b\xe2q\xd3D\xc3:\xf2",
		protocol.TopicPartition{Topic: "t", Partition: 1},
		Commit{Offset: 6, LeaderEpoch: 3, Metadata: "m", CommitMs: 0x1a21203ed55, ExpireMs: -1,
			TopicID: protocol.TopicID([]byte("`\xc9\xc8\xe1\x81\xfdB\x15\x9b\xe2q\xd3D\xc3:\xf2"))},
	},
	{ // a commit of version 2 with a retention of its own
		"\x00\x01\x00\x02s3\x00\x01t\x00\x00\x00\x00",
		"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x01\xa2\x12\x03\xf4,\x00\x00\x01\xa2\x12\x05z\xcc",
		protocol.TopicPartition{Topic: "t"},
		Commit{Offset: 5, LeaderEpoch: -1, CommitMs: 0x1a21203f42c, ExpireMs: 0x1a212057acc},
	},
}

func TestRecordsAreKafkas(t *testing.T) {
	for _, w := range written {
		tl := timeline.New()
		s := New(tl)
		group, err := s.Apply(0, []byte(w.key), []byte(w.value))
		if err != nil {
			t.Fatal(err)
		}
		tl.Mark(1)
		found := false
		for tp, c := range s.All(1, group) {
			if found = true; tp != w.tp || c != w.commit {
				t.Errorf("read %v %+v, want %v %+v", tp, c, w.tp, w.commit)
			}
		}
		if !found {
			t.Errorf("no offset of %s", group)
		}
		e := newEncoder(group, 1)
		e.commit(w.tp, w.commit)
		if r := e.records[0]; string(r.Key) != w.key || string(r.Value) != w.value {
			t.Errorf("wrote %q %q", r.Key, r.Value)
		}
	}
}

func TestTheLengthOfMetadataIsJavas(t *testing.T) {
	for text, units := range map[string]int{"": 0, "abc": 3, "äöü": 3, "\U0001f600": 2, "a\U0001f600ä": 4, "\xff": 1} {
		if longer(text, units) {
			t.Errorf("%q is longer than %d", text, units)
		}
		if units > 0 && !longer(text, units-1) {
			t.Errorf("%q is not longer than %d", text, units-1)
		}
	}
}

func FuzzApply(f *testing.F) {
	for _, w := range written {
		f.Add([]byte(w.key), []byte(w.value))
	}
	f.Add([]byte("\x00\x00\x00\x01g\x00\x01t\x00\x00\x00\x00"), []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		tl := timeline.New()
		s := New(tl)
		lentKey, lentValue := bytes.Clone(key), bytes.Clone(value)
		name, err := s.Apply(1, lentKey, lentValue)
		if err != nil {
			return
		}
		group := string([]byte(name))
		clear(lentKey)
		clear(lentValue)
		tl.Mark(2)
		for tp, c := range s.All(2, group) { // what was kept is no part of what was lent, and is written as it was read
			if len(c.Metadata) > 1<<15-1 {
				continue
			}
			e := newEncoder(group, 1)
			e.commit(tp, c)
			if _, err := s.Apply(1, e.records[0].Key, e.records[0].Value); err != nil {
				t.Fatal(err)
			}
			if again, ok := s.offset(group, tp); !ok || again.Offset != c.Offset || again.Metadata != c.Metadata || again.CommitMs != c.CommitMs || again.ExpireMs != c.ExpireMs {
				t.Fatalf("%+v became %+v", c, again)
			}
		}
	})
}

func (s *Store) offset(group string, tp protocol.TopicPartition) (Commit, bool) {
	of, ok := s.groups.Get(group)
	if !ok {
		return Commit{}, false
	}
	return of.Get(tp)
}
