package kraft

import (
	"encoding/binary"
	"path"
	"strings"
	"testing"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

var (
	topicA = protocol.TopicID{1}
	topicB = protocol.TopicID{2}
)

// encoder writes what fields reads.
type encoder []byte

func begin(kind, version uint64) encoder {
	return binary.AppendUvarint(binary.AppendUvarint([]byte{1}, kind), version)
}

func (e encoder) string(s string) encoder {
	return append(binary.AppendUvarint(e, uint64(len(s))+1), s...)
}
func (e encoder) int32(v int32) encoder    { return binary.BigEndian.AppendUint32(e, uint32(v)) }
func (e encoder) int64(v int64) encoder    { return binary.BigEndian.AppendUint64(e, uint64(v)) }
func (e encoder) bytes(b ...byte) encoder  { return append(e, b...) }
func (e encoder) id(v protocol.ID) encoder { return append(e, v[:]...) }
func (e encoder) list(v ...int32) encoder {
	e = binary.AppendUvarint(e, uint64(len(v))+1)
	for _, n := range v {
		e = e.int32(n)
	}
	return e
}

func topic(name string, id protocol.ID) encoder {
	return begin(keyTopic, 0).string(name).id(id).bytes(0)
}

func partition(id protocol.ID, n, epoch int32) encoder {
	return begin(keyPartition, 1).int32(n).id(id).list(1, 2).list(1).list().bytes(0).int32(1).int32(epoch).int32(5).bytes(1).bytes(0)
}

// change names a new leader, or only a new ISR.
func change(id protocol.ID, n int32, leader bool) encoder {
	e := begin(keyPartitionChange, 0).int32(n).id(id)
	if leader {
		return e.bytes(2, 0, 5).list(1).bytes(1, 4).int32(1)
	}
	return e.bytes(1, 0, 5).list(1)
}

func setting(kind byte, resource, name string, value ...string) encoder {
	e := begin(keyConfig, 0).bytes(kind).string(resource).string(name)
	if len(value) == 0 {
		return e.bytes(0, 0)
	}
	return e.string(value[0]).bytes(0)
}

// write makes a file of the folder: each record a batch, and a control batch among them.
func write(t *testing.T, fsys vfs.FS, name string, base protocol.Offset, values ...encoder) {
	t.Helper()
	var out []byte
	for i, v := range values {
		b := batch.NewBuilder()
		b.BaseOffset, b.LeaderEpoch, b.Control = base+protocol.Offset(i), 1, v == nil
		b.Add(0, nil, v)
		out = b.Build(out)
	}
	f, err := fsys.Create(path.Join("m", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(out, 0); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T) *vfs.Mem {
	t.Helper()
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("m"); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func TestReadFollowsSnapshotAndLog(t *testing.T) {
	fsys := folder(t)
	write(t, fsys, segment.Name(0, segment.LogSuffix), 0, nil, topic("gone", protocol.ID{9}), partition(protocol.ID{9}, 0, 1), topic("a", topicA), partition(topicA, 0, 3), setting(2, "a", "segment.bytes", "7"))
	// The log's first five records are in the snapshot, whose own offsets mean nothing, and so is the removal of "gone".
	write(t, fsys, "00000000000000000005-0000000001.checkpoint", 0, nil, topic("a", topicA), partition(topicA, 0, 4), setting(4, "", "log.retention.ms", "1"), setting(2, "a", "cleanup.policy", "compact"))
	write(t, fsys, segment.Name(6, segment.LogSuffix), 6,
		change(topicA, 0, true), change(topicA, 0, false),
		begin(keyBeginTransaction, 0).bytes(0), topic("b", topicB), partition(topicB, 0, 0), begin(keyEndTransaction, 0).bytes(0),
		begin(keyBeginTransaction, 0).bytes(0), topic("never", protocol.ID{3}), begin(keyAbortTransaction, 0).bytes(0),
		setting(2, "a", "cleanup.policy"), begin(18, 0).bytes(1, 2, 3), begin(20, 0).bytes(0),
		begin(keyProducerIDs, 0).int32(1).int64(5).int64(3000).bytes(0))
	s, err := Read(fsys, "m")
	if err != nil {
		t.Fatal(err)
	}
	all := s.Sorted()
	if len(all) != 2 || all[0].Name != "a" || all[1].ID != topicB || all[0].Partitions[0].LeaderEpoch != 5 || s.NextProducerID != 3000 {
		t.Errorf("%+v, %+v, next producer %d", all[0], all[1:], s.NextProducerID)
	}
	if c := s.Configs[Resource{2, "a"}]; len(c) != 1 || c["segment.bytes"] != "7" || s.Configs[Resource{4, ""}]["log.retention.ms"] != "1" {
		t.Errorf("%v", s.Configs)
	}
	if len(s.Skipped) != 1 || s.Skipped["ACLs"] != 1 {
		t.Errorf("%v", s.Skipped)
	}
}

func TestReadRefusesWhatIsNotWhole(t *testing.T) {
	for want, values := range map[string][]encoder{
		"no partitions":          {topic("a", topicA)},
		"partition 0 of topic a": {topic("a", topicA), partition(topicA, 1, 0)},
		"not known":              {partition(topicA, 0, 0)},
		"malformed field":        {topic("a", topicA)[:8]},
		"not a metadata record":  {{0, 2, 0}},
	} {
		fsys := folder(t)
		write(t, fsys, segment.Name(0, segment.LogSuffix), 0, values...)
		if _, err := Read(fsys, "m"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	fsys := folder(t)
	write(t, fsys, segment.Name(4, segment.LogSuffix), 4, topic("a", topicA))
	if _, err := Read(fsys, "m"); err == nil {
		t.Error("a log without a beginning was read")
	}
}

func FuzzApply(f *testing.F) {
	for _, v := range []encoder{topic("a", topicA), partition(topicA, 0, 1), change(topicA, 0, true), setting(2, "a", "b", "c"), begin(keyRemoveTopic, 0).id(topicA)} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := reader{state: newState()}
		r.state.Topics[topicA] = &Topic{Name: "a", ID: topicA, Partitions: make([]Partition, 2)}
		_ = r.record(b) // an error, never a panic
	})
}
