package log

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

var (
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
	tp0   = protocol.TopicPartition{Topic: "t"}
	id0   = protocol.TopicID{1}
)

// records makes a batch of one record per value.
func records(ts int64, values ...string) []byte {
	b := batch.NewBuilder()
	for i, v := range values {
		b.Add(ts+int64(i), []byte("k"), []byte(v))
	}
	return b.Build(nil)
}

func openStore(t testing.TB, fsys vfs.FS, dirs ...string) *Store {
	t.Helper()
	if len(dirs) == 0 {
		dirs = []string{"d"}
	}
	s, err := OpenStore(StoreOptions{FS: fsys, Dirs: dirs, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openLog(t testing.TB, s *Store, c Config, o Observer) *Log {
	t.Helper()
	l, err := s.Open(tp0, id0, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts the store's goroutines; stop ends them.
func run(s *Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

func mustAppend(t testing.TB, l *Log, b []byte, epoch protocol.LeaderEpoch) AppendInfo {
	t.Helper()
	var info AppendInfo
	if err := l.Append(b, AppendOptions{Epoch: epoch}, &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// watcher records what a log tells.
type watcher struct {
	mu      sync.Mutex
	durable []protocol.Offset
	offline []error
}

func (w *watcher) Durable(_ *Log, end protocol.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.durable = append(w.durable, end)
}

func (w *watcher) Offline(_ *Log, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offline = append(w.offline, err)
}

func (w *watcher) last() protocol.Offset {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.durable) == 0 {
		return -1
	}
	return w.durable[len(w.durable)-1]
}

// readAll reads the log's batches from offset from up to limit in pieces of at most maxBytes, and gives base offset, last offset and record values of each.
func readAll(t testing.TB, l *Log, from, limit protocol.Offset, maxBytes int) []string {
	t.Helper()
	var out []string
	for from < limit {
		var r Range
		if err := l.Read(from, limit, maxBytes, true, &r); err != nil {
			t.Fatalf("read %d: %v", from, err)
		}
		if r.Source == nil {
			return out
		}
		b := make([]byte, r.Size)
		if _, err := r.Source.ReadAt(b, r.Position); err != nil {
			t.Fatalf("read %d: %v", from, err)
		}
		r.Source.Release()
		for len(b) > 0 {
			var h batch.Header
			if err := batch.ParseHeader(b, &h); err != nil {
				t.Fatalf("read %d: %v", from, err)
			}
			if !batch.CheckCRC(b) {
				t.Fatalf("read %d: bad CRC at %d", from, h.BaseOffset)
			}
			out = append(out, describe(t, b[:h.Size()]))
			from = h.NextOffset()
			b = b[h.Size():]
		}
	}
	return out
}

func describe(t testing.TB, b []byte) string {
	t.Helper()
	r, err := batch.NewReader(b, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := fmt.Sprintf("%d@%d", r.Header().BaseOffset, r.Header().LeaderEpoch)
	var rec batch.Record
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return s
		}
		s += " " + string(rec.Value)
	}
}
