package raftlog

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"ottla/log/batch"
	"ottla/log/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestFormat compares one of everything with testdata/format.hex: what is on the disks of users must stay readable.
func TestFormat(t *testing.T) {
	var out strings.Builder
	show := func(name string, b []byte) {
		fmt.Fprintf(&out, "%s\n", name)
		for line := range slices.Chunk(b, 32) {
			fmt.Fprintf(&out, "  %s\n", hex.EncodeToString(line))
		}
	}
	b := batch.NewBuilder()
	show("bootstrap", appendBatch(nil, b, 0, 0, kindBootstrap, []byte("the-cluster")))
	change := &pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(uint64(7))}
	for name, e := range map[string]*pb.Entry{
		"no-op":          entry(2, 2, pb.EntryNormal, nil),
		"metadata":       entry(3, 2, pb.EntryNormal, []byte("records")),
		"conf change":    entry(1, 1, pb.EntryConfChange, marshal(t, change)),
		"conf change v2": entry(9, 2, pb.EntryConfChangeV2, nil),
	} {
		raw, err := appendEntry(nil, b, e)
		if err != nil {
			t.Fatal(err)
		}
		checkEntry(t, name, raw, e)
	}
	for _, e := range []*pb.Entry{
		entry(1, 1, pb.EntryConfChange, marshal(t, change)), entry(2, 2, pb.EntryNormal, nil), entry(3, 2, pb.EntryNormal, []byte("records")),
	} {
		raw, _ := appendEntry(nil, b, e)
		show(fmt.Sprintf("entry %d", e.GetIndex()), raw)
	}

	fs := vfs.NewMem()
	if err := fs.MkdirAll("q"); err != nil {
		t.Fatal(err)
	}
	if err := createState(fs, "q", identity{raftID: 7, clusterID: "the-cluster"}, hardState{term: 1, commit: 1}); err != nil {
		t.Fatal(err)
	}
	state := readAll(t, fs, path.Join("q", stateName))
	show("quorum-state head", state[:64])
	show("quorum-state slot", state[statePage:statePage+slotSize])

	m := &pb.SnapshotMetadata{Index: new(uint64(3)), Term: new(uint64(2)), ConfState: &pb.ConfState{Voters: []uint64{7}, Learners: []uint64{8}, AutoLeave: new(false)}}
	s := &Storage{fs: fs, dir: "q"}
	if _, err := s.WriteSnapshot(m, slices.Values([][]byte{[]byte("one"), []byte("two")})); err != nil {
		t.Fatal(err)
	}
	show("snapshot "+snapshotName(m), readAll(t, fs, path.Join("q", snapshotName(m))))

	const golden = "testdata/format.hex"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the format has changed:\n%s", out.String())
	}
}

func entry(index, term uint64, typ pb.EntryType, data []byte) *pb.Entry {
	return &pb.Entry{Index: new(index), Term: new(term), Type: typ.Enum(), Data: data}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkEntry(t *testing.T, name string, raw []byte, want *pb.Entry) {
	t.Helper()
	i, err := parseItem(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, err := i.entry()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got.GetIndex() != want.GetIndex() || got.GetTerm() != want.GetTerm() || got.GetType() != want.GetType() || !bytes.Equal(got.GetData(), want.GetData()) {
		t.Errorf("%s: %v became %v", name, want, got)
	}
	var h batch.Header
	if err := batch.ParseHeader(raw, &h); err != nil {
		t.Fatal(err)
	}
	if control := name != "metadata"; h.Attributes.Control() != control {
		t.Errorf("%s: control %v", name, h.Attributes.Control())
	}
}

func readAll(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.OpenReadOnly(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzParseItem(f *testing.F) {
	b := batch.NewBuilder()
	f.Add(appendBatch(nil, b, 0, 0, kindBootstrap, []byte("c")))
	f.Add(appendBatch(nil, b, 5, 3, kindMetadata, []byte("records")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := parseItem(raw)
		if err != nil {
			return
		}
		again := appendBatch(nil, b, i.offset, i.term, i.kind, i.value)
		if j, err := parseItem(again); err != nil || j.offset != i.offset || j.term != i.term || j.kind != i.kind || !bytes.Equal(j.value, i.value) {
			t.Fatalf("%+v became %+v, %v", i, j, err)
		}
		_, _ = i.entry()
	})
}

func FuzzReadSnapshot(f *testing.F) {
	fs := vfs.NewMem()
	m := &pb.SnapshotMetadata{Index: new(uint64(3)), Term: new(uint64(2)), ConfState: &pb.ConfState{Voters: []uint64{7}}}
	if _, err := (&Storage{fs: fs, dir: "/"}).WriteSnapshot(m, slices.Values([][]byte{[]byte("one"), nil})); err != nil {
		f.Fatal(err)
	}
	f.Add(readAll(f, fs, "/"+snapshotName(m)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := snapshotReader{from: bytes.NewReader(raw)}
		_, _ = r.all(func([]byte) error { return nil })
	})
}

func FuzzReadState(f *testing.F) {
	fs := vfs.NewMem()
	if err := createState(fs, "/", identity{7, "c"}, hardState{1, 2, 3}); err != nil {
		f.Fatal(err)
	}
	f.Add(readAll(f, fs, "/"+stateName))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fs := vfs.NewMem()
		file, err := fs.Create("/" + stateName)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		if s, _, _, err := openState(fs, "/"); err == nil {
			_ = s.close()
		}
	})
}
