package ottla

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ottla/controller/kraft"
	"ottla/log"
	"ottla/log/batch"
	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

const kafkaCluster = "AAAAAAAAAAAAAAAAAAAAAQ"

// kafkaFolder is a log directory as Apache Kafka leaves it: testdata/kafka-metadata.log is its own (4.3.1, two topics "a" and "b" with two compacted partitions each), the partitions are
// written in the same format here. Partition 0 of a has ten records.
func kafkaFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kafka")
	meta := filepath.Join(dir, kraft.Folder)
	log0, err := os.ReadFile("testdata/kafka-metadata.log")
	if err == nil {
		err = os.MkdirAll(meta, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(meta, "00000000000000000000.log"), log0, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	state, err := kraft.Read(vfs.OS{}, meta)
	if err != nil {
		t.Fatal(err)
	}
	store, err := log.OpenStore(log.StoreOptions{FS: vfs.OS{}, Dirs: []string{dir}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Format(kafkaCluster, 1, protocol.NewID()); err != nil {
		t.Fatal(err)
	}
	c := log.DefaultConfig()
	c.SegmentBytes = 300
	for _, topic := range state.Sorted() {
		for n := range topic.Partitions {
			l, err := store.Open(protocol.TopicPartition{Topic: topic.Name, Partition: int32(n)}, topic.ID, c, log.NopObserver{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				b := batch.NewBuilder()
				b.Add(int64(i), []byte(topic.Name), []byte{byte(i)})
				var info log.AppendInfo
				if err := l.Append(b.Build(nil), log.AppendOptions{Epoch: 0}, &info); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ottla.folders")); err != nil { // Kafka has none
		t.Fatal(err)
	}
	if err := checkpoint.WriteCleanShutdown(vfs.OS{}, dir, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// everythingIn is every file below dir.
func everythingIn(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		out.WriteString(name + "\n" + string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestImport(t *testing.T) {
	for _, link := range []bool{false, true} {
		from := kafkaFolder(t)
		before := everythingIn(t, from)
		data := filepath.Join(t.TempDir(), "data")
		done, err := Import(t.Context(), ImportOptions{From: []string{from}, Data: data, Link: link, Logger: slog.New(slog.DiscardHandler)})
		if err != nil || done.Topics != 2 || done.Partitions != 4 || done.ClusterID != kafkaCluster || len(done.Ignored) > 0 || len(done.NotImported) > 0 {
			t.Fatalf("%+v, %v", done, err)
		}
		n, err := Start(t.Context(), Config{Data: data, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		img := n.controller.Image()
		a := img.Topic("a")
		if n.ClusterID() != kafkaCluster || n.NodeID() != 1 || a == nil || len(a.Partitions) != 2 || a.Partitions[0].Leader != 1 || img.Topic("b") == nil {
			t.Fatalf("cluster %s, node %d, topic %+v", n.ClusterID(), n.NodeID(), a)
		}
		p, err := n.replicas.Leader(a.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		var read log.ReadResult
		if err := p.Read(log.ReadOptions{From: 0, MaxBytes: 1 << 20, CurrentEpoch: a.Partitions[0].LeaderEpoch, LastFetchedEpoch: -1}, &read); err != nil || read.Offsets.HighWatermark != 10 || read.Range.Size == 0 {
			t.Fatalf("%+v, %v", read, err)
		}
		read.Range.Source.Release()
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := everythingIn(t, from); after != before {
			t.Fatal("Apache Kafka's folder has changed")
		}
	}
}

func TestImportRefuses(t *testing.T) {
	for want, spoil := range map[string]func(t *testing.T, from, data string) error{
		"was not closed": func(_ *testing.T, from, _ string) error {
			return os.Remove(filepath.Join(from, checkpoint.CleanShutdownName))
		},
		"is not empty":        func(_ *testing.T, _, data string) error { return os.MkdirAll(filepath.Join(data, "x"), 0o755) },
		"none of the folders": func(_ *testing.T, from, _ string) error { return os.RemoveAll(filepath.Join(from, "b-1")) },
		"is of topic id": func(_ *testing.T, from, _ string) error {
			return os.Rename(filepath.Join(from, "b-1"), filepath.Join(from, "a-1"))
		},
		"name the one of":     func(_ *testing.T, from, _ string) error { return os.RemoveAll(filepath.Join(from, kraft.Folder)) },
		"is no log directory": func(_ *testing.T, from, _ string) error { return os.Remove(filepath.Join(from, checkpoint.MetaName)) },
	} {
		from, data := kafkaFolder(t), filepath.Join(t.TempDir(), "data")
		if want == "is of topic id" {
			if err := os.RemoveAll(filepath.Join(from, "a-1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := spoil(t, from, data); err != nil {
			t.Fatal(err)
		}
		if _, err := Import(t.Context(), ImportOptions{From: []string{from}, Data: data, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What crashed is taken when that is said, and recovered.
func TestImportOfWhatCrashed(t *testing.T) {
	from, data := kafkaFolder(t), filepath.Join(t.TempDir(), "data")
	if err := os.Remove(filepath.Join(from, checkpoint.CleanShutdownName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), ImportOptions{From: []string{from}, Data: data, Unclean: true, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(data, checkpoint.CleanShutdownName)); err == nil {
		t.Error("the new folder claims a clean stop")
	}
}
