package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

func folder(t testing.TB, topic string, partition int32) Folder {
	t.Helper()
	return Folder{protocol.TopicPartition{Topic: topic, Partition: partition}, id(t, someID)}
}

func wantFolders(t *testing.T, fsys vfs.FS, want ...Folder) {
	t.Helper()
	m, err := OpenManifest(fsys, dir)
	must(t, err)
	if got := m.Folders(); !slices.Equal(got, want) {
		t.Errorf("folders %v, want %v", got, want)
	}
	must(t, m.Close())
}

func TestManifestLife(t *testing.T) {
	d := disk(t)
	if _, err := OpenManifest(d, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	a, b, c := folder(t, "a", 0), folder(t, "b-1", 10), folder(t, "b-1", 9)
	m, err := CreateManifest(d, dir, []Folder{b})
	must(t, err)
	wantFolders(t, d.CrashClone(nil, 0), b)
	must(t, m.Add(c, a, b))
	wantFolders(t, d.CrashClone(nil, 0), a, c, b)
	must(t, m.Remove(b.Partition, b.Partition, folder(t, "z", 1).Partition))
	wantFolders(t, d.CrashClone(nil, 0), a, c)
	size := m.size
	must(t, m.Add(a))
	must(t, m.Remove(b.Partition))
	must(t, m.Add())
	if m.size != size {
		t.Error("what was known was written again")
	}
	a.ID[0]++ // the topic was deleted and made again
	must(t, m.Add(a))
	wantFolders(t, d.CrashClone(nil, 0), a, c)
	must(t, m.Close())
}

func TestManifestBytes(t *testing.T) {
	d := disk(t)
	m, err := CreateManifest(d, dir, nil)
	must(t, err)
	must(t, m.Add(folder(t, "orders", 0), folder(t, "orders", 1)))
	must(t, m.Remove(folder(t, "orders", 0).Partition))
	wantFile(t, d, ManifestName, "ottla.folders 1\n"+
		"f6a65704 +orders-0/WYmdPIVgRpqd4cJ4y4VOMQ +orders-1/WYmdPIVgRpqd4cJ4y4VOMQ\n"+
		"b372dac5 -orders-0\n")
	must(t, m.Close())
}

// TestManifestTornTail cuts and spoils the last line at every byte: the lines before it stay, and appends go on.
func TestManifestTornTail(t *testing.T) {
	d := disk(t)
	m, err := CreateManifest(d, dir, nil)
	must(t, err)
	a, b := folder(t, "a", 0), folder(t, "b", 0)
	must(t, m.Add(a))
	kept := m.size
	must(t, m.Add(b))
	must(t, m.Close())
	whole, err := read(d, dir, ManifestName, maxTable)
	must(t, err)
	for at := kept; at < int64(len(whole)); at++ {
		spoiled := slices.Clone(whole)
		spoiled[at] ^= 0x40
		for _, tail := range [][]byte{whole[:at], spoiled} {
			put(t, d, ManifestName, string(tail))
			wantFolders(t, d, a)
			m, err := OpenManifest(d, dir)
			must(t, err)
			must(t, m.Add(b))
			must(t, m.Close())
			wantFolders(t, d.CrashClone(nil, 0), a, b)
		}
	}
}

func TestManifestDamage(t *testing.T) {
	d := disk(t)
	line := func(changes string) string { return string(appendLine(nil, []byte(changes))) }
	for _, text := range []string{
		"", "ottla.folders 2\n", "ottla.folders 1",
		manifestHead + "00000000 -a-0\n" + line("-a-0"), manifestHead + line("+a-0/"+someID) + "\n" + line("-a-0"), // a bad line before a good one
		manifestHead + line("+a-0"), manifestHead + line("-a-0/"+someID), manifestHead + line("*a-0"), manifestHead + line(""), manifestHead + line("-a-0  -b-0"),
		manifestHead + line("+a/"+someID), manifestHead + line("+a-01/"+someID), manifestHead + line("+a-0/x"), manifestHead + line("+a-0/"+someID+"\r"), manifestHead + line("+../a-0/"+someID), manifestHead + line("-a-2147483648"),
	} {
		put(t, d, ManifestName, text)
		if _, err := OpenManifest(d, dir); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestManifestCompacts(t *testing.T) {
	d := disk(t)
	m, err := CreateManifest(d, dir, nil)
	must(t, err)
	keep, churn := folder(t, "keep", 0), folder(t, "churn", 0)
	must(t, m.Add(keep))
	largest := int64(0)
	for range 3 * slack {
		must(t, m.Add(churn))
		must(t, m.Remove(churn.Partition))
		largest = max(largest, m.size)
	}
	if limit := int64(100 * (slack + 10)); largest > limit {
		t.Errorf("grew to %d bytes", largest)
	}
	wantFolders(t, d.CrashClone(nil, 0), keep)
	must(t, m.Add(churn))
	wantFolders(t, d.CrashClone(nil, 0), churn, keep)
	must(t, m.Close())
}

// TestManifestWithoutRoom: a full disk is no damage, and what fits later is appended.
func TestManifestWithoutRoom(t *testing.T) {
	d := disk(t)
	f := vfs.NewFaulty(d)
	m, err := CreateManifest(f, dir, nil)
	must(t, err)
	a := folder(t, "a", 0)
	f.Set(vfs.Rule{Ops: vfs.OpWrite, Err: syscall.ENOSPC, Short: 10})
	if err := m.Add(a); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	wantFolders(t, d.CrashClone(nil, 1))
	f.Set()
	must(t, m.Add(a))
	must(t, m.Close())
	wantFolders(t, d.CrashClone(nil, 0), a)
}

// TestManifestNeverRetries fails an append: what is listed stays, the caller is told each time, and the next start finds one of the two states.
func TestManifestNeverRetries(t *testing.T) {
	for _, rule := range []vfs.Rule{{Ops: vfs.OpWrite, Err: syscall.EIO, Short: 10}, {Ops: vfs.OpSync, Err: syscall.EIO}} {
		d := disk(t)
		f := vfs.NewFaulty(d)
		m, err := CreateManifest(f, dir, nil)
		must(t, err)
		a := folder(t, "a", 0)
		f.Set(rule)
		if err := m.Add(a); !errors.Is(err, rule.Err) {
			t.Errorf("%v", err)
		}
		f.Set()
		if err := m.Add(a); !errors.Is(err, rule.Err) {
			t.Errorf("tried again: %v", err)
		}
		if err := m.Remove(a.Partition); !errors.Is(err, rule.Err) {
			t.Errorf("tried again: %v", err)
		}
		if len(m.Folders()) != 0 {
			t.Error("lists what is not known to be durable")
		}
		must(t, m.Close())
		wantFolders(t, d.CrashClone(nil, 0))
	}
}

// TestManifestSurvivesPowerCuts runs random changes, each with a power cut in the middle of the next, and compares with a map.
func TestManifestSurvivesPowerCuts(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := disk(t)
		m, err := CreateManifest(d, dir, nil)
		must(t, err)
		model := map[string]Folder{}
		for range 100 {
			f := folder(t, "t", rng.Int32N(10))
			name := path.Base(f.Partition.String())
			if _, listed := model[name]; listed {
				must(t, m.Remove(f.Partition))
				delete(model, name)
			} else {
				must(t, m.Add(f))
				model[name] = f
			}
			if rng.IntN(4) == 0 {
				line := appendLine(nil, []byte("+lost-0/"+someID))
				_, err := m.file.WriteAt(line, m.size) // an append that the power cut overtakes
				must(t, err)
				d = d.CrashClone(rng, 0)
				m, err = OpenManifest(d, dir)
				must(t, err)
			}
			if got := len(m.Folders()); got != len(model) {
				t.Fatalf("%d folders, want %d", got, len(model))
			}
			for _, f := range m.Folders() {
				if model[f.Partition.String()] != f {
					t.Fatalf("folder %v is listed", f)
				}
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifestHead + "f6a65704 +orders-0/WYmdPIVgRpqd4cJ4y4VOMQ +orders-1/WYmdPIVgRpqd4cJ4y4VOMQ\nb372dac5 -orders-0\n"))
	f.Add([]byte(manifestHead + string(appendLine(nil, []byte("-")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &Manifest{folders: map[protocol.TopicPartition]protocol.TopicID{}}
		if err := m.parse(data); err != nil {
			return
		}
		if m.size > int64(len(data)) {
			t.Fatalf("%d bytes of %d", m.size, len(data))
		}
		again := &Manifest{folders: map[protocol.TopicPartition]protocol.TopicID{}}
		text := []byte(manifestHead)
		for _, folder := range m.Folders() {
			text = appendLine(text, fmt.Appendf(nil, "+%s/%s", folder.Partition, folder.ID))
		}
		if err := again.parse(text); err != nil || !slices.Equal(again.Folders(), m.Folders()) {
			t.Fatal(err, strings.Count(string(text), "\n"))
		}
	})
}
