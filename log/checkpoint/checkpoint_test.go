package checkpoint

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

const dir = "/data"

// disk is a file system with an empty, durable folder.
func disk(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	must(t, m.MkdirAll(dir))
	must(t, m.SyncDir("/"))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, fsys vfs.FS, name, text string) {
	t.Helper()
	must(t, replace(fsys, dir, name, []byte(text)))
}

func wantFile(t *testing.T, fsys vfs.FS, name, want string) {
	t.Helper()
	got, err := read(fsys, dir, name, maxTable)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q %v, want %q", name, got, err, want)
	}
}

func id(t testing.TB, s string) protocol.ID {
	t.Helper()
	id, err := protocol.ParseID(s)
	must(t, err)
	return id
}

const someID = "WYmdPIVgRpqd4cJ4y4VOMQ"

// files are all the files, each with a text that Apache Kafka 4.3.1 wrote, how to read it, and texts that are not it.
var files = []struct {
	name, kafka string
	read        func(vfs.FS) (any, error)
	want        any
	malformed   []string
}{
	{
		EpochsName, "0\n2\n0 0\n3 120\n",
		func(f vfs.FS) (any, error) { e, err := ReadEpochs(f, dir); return format(e), err },
		format([]Epoch{{0, 0}, {3, 120}}),
		[]string{"1\n0\n", "0\n", "0\n2\n0 0\n", "0\n1\n0 0\n1 1\n", "0\n1\n0\n", "0\n1\n0 0 0\n", "0\n1\n-1 0\n", "0\n1\n0 -1\n", "0\n2\n1 0\n1 5\n", "0\n2\n1 5\n2 4\n",
			"0\n1\n2147483648 0\n", "0\n1\n0 9223372036854775808\n", "0\n-1\n", "x\n0\n", "0\n99999999999\n", "0\n1\n 0 0\n", "\n", "0\n1\n+1 0\n"},
	},
	{
		HighWatermarks, "0\n2\na-b 10 7\nt 0 0\n",
		func(f vfs.FS) (any, error) {
			o, err := ReadOffsets(f, dir, HighWatermarks)
			return string(appendOffsets(nil, o)), err
		},
		"0\n2\na-b 10 7\nt 0 0\n",
		[]string{"0\n1\nt 0\n", "0\n1\nt 0 0 0\n", "0\n1\nt -1 0\n", "0\n1\nt 0 x\n", "0\n1\n.. 0 0\n", "0\n1\na/b 0 0\n", "0\n2\nt 0 1\nt 0 2\n", "0\n1\nt 2147483648 0\n", "0\n1\n" + strings.Repeat("t", 250) + " 0 0\n"},
	},
	{
		PartitionName, "version: 0\ntopic_id: " + someID,
		func(f vfs.FS) (any, error) { id, err := ReadPartition(f, dir); return id.String(), err },
		someID,
		[]string{"", "version: 1\ntopic_id: " + someID, "version: 0\n", "version: 0\ntopic_id: AAAA", "version: 0\ntopic_id: " + protocol.TopicID{}.String(), "version: 0\ntopic_id: " + someID + "\n\n"},
	},
	{
		MetaName, "#\n#Sun Nov 22 16:02:04 UTC 2026\nnode.id=1\ndirectory.id=iCZdbGqClIQhxEpFfsjWTg\nversion=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n",
		func(f vfs.FS) (any, error) {
			m, err := ReadMeta(f, dir)
			return m.ClusterID + " " + m.DirectoryID.String() + " " + protocol.TopicPartition{Partition: int32(m.NodeID)}.String(), err
		},
		"AAAAAAAAAAAAAAAAAAAAAQ iCZdbGqClIQhxEpFfsjWTg -1",
		[]string{"", "version=0\nbroker.id=1\ncluster.id=x\n", "version=1\nnode.id=1\n", "version=1\ncluster.id=x\n", "version=1\ncluster.id=x\nnode.id=-1\n", "version=1\ncluster.id=x\nnode.id=1\ndirectory.id=x\n", "\\u"},
	},
	{
		CleanShutdownName, `{"version":0,"brokerEpoch":11}`,
		func(f vfs.FS) (any, error) { return ReadCleanShutdown(f, dir) },
		protocol.BrokerEpoch(11),
		[]string{"x", "{}", `{"version":1,"brokerEpoch":1}`, `{"version":0}`, `{"version":0,"brokerEpoch":"1"}`, "null", "[]"},
	},
}

func format(epochs []Epoch) string { return string(appendEpochs(nil, epochs)) }

func TestReadsWhatKafkaWrites(t *testing.T) {
	for _, f := range files {
		m := disk(t)
		put(t, m, f.name, f.kafka)
		if got, err := f.read(m); err != nil || got != f.want {
			t.Errorf("%s: %v %v, want %v", f.name, got, err, f.want)
		}
	}
}

func TestAbsentIsNotMalformed(t *testing.T) {
	for _, f := range files {
		m := disk(t)
		if _, err := f.read(m); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s absent: %v", f.name, err)
		}
		for _, text := range f.malformed {
			put(t, m, f.name, text)
			if got, err := f.read(m); !errors.Is(err, ErrMalformed) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path.Join(dir, f.name)) {
				t.Errorf("%s %q: %v %v", f.name, text, got, err)
			}
		}
		faulty := vfs.NewFaulty(m, vfs.Rule{Ops: vfs.OpRead, Err: syscall.EIO})
		if _, err := f.read(faulty); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s unreadable: %v", f.name, err)
		}
	}
}

func TestTooLargeIsMalformed(t *testing.T) {
	m := disk(t)
	f, err := m.Create(path.Join(dir, PartitionName))
	must(t, err)
	must(t, f.Truncate(1<<40))
	if _, err := ReadPartition(m, dir); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	must(t, m.Rename(path.Join(dir, PartitionName), path.Join(dir, EpochsName)))
	if _, err := ReadEpochs(m, dir); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestEmptyTable(t *testing.T) {
	m := disk(t)
	put(t, m, EpochsName, "")
	put(t, m, LogStarts, "")
	epochs, err1 := ReadEpochs(m, dir)
	offsets, err2 := ReadOffsets(m, dir, LogStarts)
	if len(epochs)+len(offsets) != 0 || err1 != nil || err2 != nil {
		t.Error(epochs, offsets, err1, err2)
	}
	put(t, m, EpochsName, "0\r\n1\r\n4 5") // lines may end as they like
	if epochs, err := ReadEpochs(m, dir); err != nil || !slices.Equal(epochs, []Epoch{{4, 5}}) {
		t.Error(epochs, err)
	}
}

func TestWritesKafkasBytes(t *testing.T) {
	m := disk(t)
	must(t, WriteEpochs(m, dir, nil))
	wantFile(t, m, EpochsName, "0\n0\n")
	must(t, WriteEpochs(m, dir, []Epoch{{0, 0}, {5, 17}}))
	wantFile(t, m, EpochsName, "0\n2\n0 0\n5 17\n")

	offsets := map[protocol.TopicPartition]protocol.Offset{{Topic: "t", Partition: 10}: 1, {Topic: "t", Partition: 2}: 0, {Topic: "a_b.c-d", Partition: 0}: 1 << 62}
	must(t, WriteOffsets(m, dir, RecoveryPoints, offsets))
	wantFile(t, m, RecoveryPoints, "0\n3\na_b.c-d 0 4611686018427387904\nt 2 0\nt 10 1\n")
	if got, err := ReadOffsets(m, dir, RecoveryPoints); err != nil || !maps.Equal(got, offsets) {
		t.Error(got, err)
	}

	must(t, WritePartition(m, dir, id(t, someID)))
	wantFile(t, m, PartitionName, "version: 0\ntopic_id: "+someID)

	meta := Meta{ClusterID: "c", NodeID: 7, DirectoryID: id(t, someID)}
	must(t, WriteMeta(m, dir, meta))
	wantFile(t, m, MetaName, "#\ncluster.id=c\ndirectory.id="+someID+"\nnode.id=7\nversion=1\n")
	if got, err := ReadMeta(m, dir); err != nil || got != meta {
		t.Error(got, err)
	}
	must(t, WriteMeta(m, dir, Meta{ClusterID: "c", NodeID: 7}))
	if got, err := ReadMeta(m, dir); err != nil || got != (Meta{ClusterID: "c", NodeID: 7}) {
		t.Error(got, err)
	}

	must(t, WriteCleanShutdown(m, dir, -1))
	wantFile(t, m, CleanShutdownName, `{"version":0,"brokerEpoch":-1}`)
	if e, err := ReadCleanShutdown(m.CrashClone(nil, 0), dir); err != nil || e != -1 {
		t.Error(e, err)
	}
	must(t, RemoveCleanShutdown(m, dir))
	must(t, RemoveCleanShutdown(m, dir))
	if _, err := ReadCleanShutdown(m.CrashClone(nil, 0), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	put(t, m, CleanShutdownName, "")
	if e, err := ReadCleanShutdown(m, dir); err != nil || e != -1 {
		t.Error(e, err)
	}
}

// TestAWriteIsAllOrNothing fails each step of a write in turn: the old content stays, now and after a power cut, and the next write succeeds.
func TestAWriteIsAllOrNothing(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpClose, vfs.OpRename} {
		m := disk(t)
		must(t, WriteEpochs(m, dir, []Epoch{{1, 1}}))
		f := vfs.NewFaulty(m, vfs.Rule{Ops: op, Nth: 1, Err: syscall.EIO, Short: 2})
		if err := WriteEpochs(f, dir, []Epoch{{2, 2}}); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), EpochsName) {
			t.Errorf("%b: %v", op, err)
		}
		wantFile(t, m, EpochsName, "0\n1\n1 1\n")
		wantFile(t, m.CrashClone(nil, 0), EpochsName, "0\n1\n1 1\n")
		must(t, WriteEpochs(f, dir, []Epoch{{3, 3}}))
		wantFile(t, m.CrashClone(nil, 0), EpochsName, "0\n1\n3 3\n")
	}
	m := disk(t)
	f := vfs.NewFaulty(m, vfs.Rule{Ops: vfs.OpSyncDir, Err: syscall.EIO})
	if err := WriteEpochs(f, dir, nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("a name that is not durable: %v", err)
	}
}

func FuzzReaders(f *testing.F) {
	for i, file := range files {
		f.Add(uint8(i), []byte(file.kafka))
		for _, text := range file.malformed {
			f.Add(uint8(i), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		switch kind % 5 {
		case 0:
			if epochs, err := parseEpochs(data); err == nil {
				again, err := parseEpochs(appendEpochs(nil, epochs))
				if err != nil || !slices.Equal(again, epochs) {
					t.Fatal(err, again, epochs)
				}
			}
		case 1:
			if offsets, err := parseOffsets(data); err == nil {
				again, err := parseOffsets(appendOffsets(nil, offsets))
				if err != nil || !maps.Equal(again, offsets) {
					t.Fatal(err, again, offsets)
				}
			}
		case 2:
			_, _ = parsePartition(data)
		case 3:
			_, _ = parseMeta(data)
		case 4:
			_, _ = parseCleanShutdown(data)
		}
	})
}
