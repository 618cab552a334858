package log

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

var rewrite = flag.Bool("rewrite", false, "write the output of the scripts into testdata")

// TestScripts plays testdata/*.txt: lines that begin with "> " are commands, what follows is their output. Each script runs twice, in bubbles of their own, and must give
// the same bytes.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, again := playScript(t, want), playScript(t, want)
			if !bytes.Equal(got, again) {
				t.Fatalf("two runs differ:\n%s\n---\n%s", got, again)
			}
			if *rewrite {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("output differs, -rewrite accepts it:\n%s", firstDifference(want, got))
			}
		})
	}
}

func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s\n\n%s", i+1, w[i], g[i], strings.Join(g, "\n"))
		}
	}
	return string(got)
}

func playScript(t *testing.T, script []byte) (out []byte) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptRun{t: t, mem: vfs.NewMem(), config: DefaultConfig(), logs: map[string]*Log{}, dirs: []string{"d"}}
		s.fs = vfs.NewFaulty(s.mem)
		for line := range strings.Lines(string(script)) {
			command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "> ")
			switch {
			case ok:
				s.printf("> %s\n", command)
				s.do(strings.Fields(command))
			case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
				s.out.WriteString(line)
			}
		}
		if s.stop != nil {
			s.stop()
		}
		out = s.out.Bytes()
	})
	return out
}

// scriptRun is a store, its disk, and the log that commands are about: the one opened last, or the one named by "log=topic".
type scriptRun struct {
	t      *testing.T
	mem    *vfs.Mem
	fs     *vfs.Faulty
	dirs   []string
	store  *Store
	stop   func()
	logs   map[string]*Log
	log    *Log
	config Config
	out    bytes.Buffer

	mu   sync.Mutex
	told []string // by observers, since the last command
}

func (s *scriptRun) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *scriptRun) Durable(l *Log, end protocol.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf("durable %s %d", l.TopicPartition(), end))
}

func (s *scriptRun) Offline(l *Log, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf("offline %s: %v", l.TopicPartition(), err))
}

// do runs one command, lets all goroutines come to rest and prints what observers were told.
func (s *scriptRun) do(fields []string) {
	args := &arguments{named: map[string]string{}}
	for _, f := range fields[1:] {
		if k, v, ok := strings.Cut(f, "="); ok {
			args.named[k] = v
		} else {
			args.plain = append(args.plain, f)
		}
	}
	if name := args.named["log"]; name != "" {
		s.log = s.logs[name]
	}
	command, ok := commands[fields[0]]
	if !ok {
		s.t.Fatalf("no such command: %s", fields[0])
	}
	if err := command(s, args); err != nil {
		s.printf("error %s\n", describeError(err))
	}
	synctest.Wait()
	s.mu.Lock()
	told := s.told
	s.told = nil
	s.mu.Unlock()
	slices.Sort(told) // logs of one pass, and the observers of a directory, come in any order
	for _, line := range told {
		s.printf("%s\n", line)
	}
}

func describeError(err error) string {
	var wire *kerr.Error
	if errors.As(err, &wire) {
		return wire.Message + ": " + strings.TrimPrefix(err.Error(), wire.Error()+": ")
	}
	return err.Error()
}

// arguments are a command's words: plain ones and name=value.
type arguments struct {
	plain []string
	named map[string]string
}

func (a *arguments) int(name string, otherwise int64) int64 {
	v, ok := a.named[name]
	if !ok {
		return otherwise
	}
	return number(v)
}

func (a *arguments) offset(i int) protocol.Offset { return protocol.Offset(number(a.plain[i])) }

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

var commands = map[string]func(*scriptRun, *arguments) error{
	"store":          (*scriptRun).openStore,
	"run":            (*scriptRun).run,
	"close":          (*scriptRun).close,
	"crash":          (*scriptRun).crash,
	"config":         (*scriptRun).configure,
	"open":           (*scriptRun).open,
	"append":         (*scriptRun).append,
	"replicate":      (*scriptRun).replicate,
	"read":           (*scriptRun).read,
	"offsets":        func(s *scriptRun, _ *arguments) error { s.offsets(); return nil },
	"flush":          func(s *scriptRun, _ *arguments) error { return s.log.Flush() },
	"request-flush":  func(s *scriptRun, _ *arguments) error { s.log.RequestFlush(); return nil },
	"truncate":       func(s *scriptRun, a *arguments) error { return s.log.Truncate(a.offset(0)) },
	"reset":          func(s *scriptRun, a *arguments) error { return s.log.ResetTo(a.offset(0)) },
	"delete-records": func(s *scriptRun, a *arguments) error { return s.log.AdvanceLogStart(a.offset(0)) },
	"delete":         func(s *scriptRun, _ *arguments) error { return s.store.Delete(s.log) },
	"sleep":          (*scriptRun).sleep,
	"epochs":         (*scriptRun).epochs,
	"begin-epoch": func(s *scriptRun, a *arguments) error {
		_, err := s.log.BeginEpoch(protocol.LeaderEpoch(number(a.plain[0])))
		return err
	},
	"time":    (*scriptRun).byTime,
	"newest":  (*scriptRun).newest,
	"ls":      (*scriptRun).ls,
	"cat":     (*scriptRun).cat,
	"folders": (*scriptRun).folders,
	"format":  (*scriptRun).format,
	"fail":    (*scriptRun).fail,
	"heal":    func(s *scriptRun, _ *arguments) error { s.fs.Set(); return nil },
	"disk":    func(s *scriptRun, a *arguments) error { s.mem.SetCapacity(number(a.plain[0])); return nil },
	"flip":    (*scriptRun).flip,
	"cut":     (*scriptRun).cut,
	"pad":     (*scriptRun).pad,
	"rm":      func(s *scriptRun, a *arguments) error { return s.mem.RemoveAll(a.plain[0]) },
	"files":   func(s *scriptRun, _ *arguments) error { s.printf("%d open\n", s.store.files.Open()); return nil },
}

func (s *scriptRun) openStore(a *arguments) (err error) {
	if len(a.plain) > 0 {
		s.dirs = a.plain
	}
	store, err := OpenStore(StoreOptions{FS: s.fs, Dirs: s.dirs, Logger: quiet})
	if err != nil {
		return err
	}
	s.store, s.logs = store, map[string]*Log{}
	for _, d := range store.dirs {
		s.printf("%s: clean %v\n", d.path, d.clean)
	}
	return nil
}

func (s *scriptRun) run(*arguments) error {
	s.stop = run(s.store)
	return nil
}

func (s *scriptRun) halt() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

func (s *scriptRun) close(*arguments) error {
	s.halt()
	return s.store.Close()
}

// crash cuts the power: what was synced is left, and of the rest nothing, or all with "killed".
func (s *scriptRun) crash(a *arguments) error {
	s.halt()
	survive := 0.0
	if slices.Contains(a.plain, "killed") {
		survive = 1
	}
	s.mem = s.mem.CrashClone(nil, survive)
	s.fs = vfs.NewFaulty(s.mem)
	return nil
}

// configure changes the configuration of the logs that are opened from now on, and of the one that is open.
func (s *scriptRun) configure(a *arguments) error {
	c := &s.config
	for k, v := range a.named {
		switch k {
		case "segment.bytes":
			c.SegmentBytes = number(v)
		case "segment.ms":
			c.SegmentMs = number(v)
		case "segment.index.bytes":
			c.SegmentIndexBytes = number(v)
		case "index.interval.bytes":
			c.IndexIntervalBytes = number(v)
		case "retention.ms":
			c.RetentionMs = number(v)
		case "retention.bytes":
			c.RetentionBytes = number(v)
		case "max.message.bytes":
			c.MaxMessageBytes = int(number(v))
		case "flush.messages":
			c.FlushMessages = number(v)
		case "flush.ms":
			c.FlushMs = number(v)
		case "durability":
			c.Durable = v == "durable"
		case "cleanup.policy":
			c.Compact, c.Delete = v == "compact", v == "delete"
		case "compression.type":
			c.Codec, c.Recompress = batch.ParseCodec(v)
		case "timestamp.type":
			c.Timestamps.LogAppendTime = v == "LogAppendTime"
		default:
			s.t.Fatalf("no such config: %s", k)
		}
	}
	if s.log != nil {
		s.log.SetConfig(*c)
	}
	return nil
}

func (s *scriptRun) open(a *arguments) (err error) {
	topic, id := a.plain[0], protocol.TopicID{15: byte(a.int("id", 1))}
	l, err := s.store.Open(protocol.TopicPartition{Topic: topic}, id, s.config, s)
	if err != nil {
		return err
	}
	s.log, s.logs[topic] = l, l
	s.offsets()
	if len(s.dirs) > 1 {
		s.printf("in %s\n", l.Directory())
	}
	return nil
}

func (s *scriptRun) offsets() {
	s.printf("[%d, %d) durable %d epoch %d segments %d\n", s.log.LogStartOffset(), s.log.LogEndOffset(), s.log.DurableEndOffset(), s.log.LatestEpoch(), len(*s.log.segments.Load()))
}

// build makes a batch of one record per word. "age" is how many milliseconds ago the first record was made; "size" pads the last value; a word "-" has no key.
func (s *scriptRun) build(a *arguments, base protocol.Offset) []byte {
	b := batch.NewBuilder()
	b.BaseOffset, b.LeaderEpoch = base, protocol.LeaderEpoch(a.int("epoch", 0))
	if _, ok := a.named["pid"]; ok {
		b.ProducerID, b.BaseSequence = protocol.ProducerID(a.int("pid", 0)), protocol.Sequence(a.int("seq", 0))
		b.ProducerEpoch = protocol.ProducerEpoch(a.int("pepoch", 0))
	}
	b.Codec, _ = batch.ParseCodec(cmp.Or(a.named["codec"], "none"))
	ts := time.Now().UnixMilli() - a.int("age", 0)
	for i, word := range a.plain {
		key, value := []byte("k"), word
		if word == "-" {
			key = nil
		}
		if i == len(a.plain)-1 {
			value += strings.Repeat(".", max(0, int(a.int("size", 0))-len(value)))
		}
		b.Add(ts+int64(i), key, []byte(value))
	}
	return b.Build(nil)
}

// append appends a batch; "times" repeats it.
func (s *scriptRun) append(a *arguments) error {
	var info AppendInfo
	for range a.int("times", 1) {
		o := AppendOptions{Epoch: protocol.LeaderEpoch(a.int("epoch", 0))}
		if err := s.log.Append(s.build(a, 0), o, &info); err != nil {
			for _, r := range info.RecordErrors {
				s.printf("record %d: %s\n", r.Index, r.Message)
			}
			return err
		}
	}
	s.printf("%d..%d", info.BaseOffset, info.NextOffset)
	if info.Duplicate {
		s.printf(" duplicate")
	}
	if info.LogAppendTime >= 0 {
		s.printf(" at %s", time.UnixMilli(info.LogAppendTime).UTC().Format(time.TimeOnly))
	}
	s.printf("\n")
	return nil
}

func (s *scriptRun) replicate(a *arguments) error {
	var info AppendInfo
	err := s.log.Append(s.build(a, protocol.Offset(a.int("at", int64(s.log.LogEndOffset())))), AppendOptions{Origin: Replica}, &info)
	if err == nil {
		s.printf("%d..%d\n", info.BaseOffset, info.NextOffset)
	}
	return err
}

// read reads one range: "read from [to=] [max=]".
func (s *scriptRun) read(a *arguments) error {
	var r Range
	limit := protocol.Offset(a.int("to", int64(s.log.LogEndOffset())))
	if err := s.log.Read(a.offset(0), limit, int(a.int("max", math.MaxInt32)), true, &r); err != nil {
		return err
	}
	if r.Source == nil {
		s.printf("nothing\n")
		return nil
	}
	defer r.Source.Release()
	b := make([]byte, r.Size)
	if _, err := r.Source.ReadAt(b, r.Position); err != nil {
		return err
	}
	for len(b) > 0 {
		var h batch.Header
		if err := batch.ParseHeader(b, &h); err != nil {
			return err
		}
		s.printf("%s %s\n", strings.TrimRight(describe(s.t, b[:h.Size()]), "."), h.Attributes.Codec())
		b = b[h.Size():]
	}
	return nil
}

func (s *scriptRun) sleep(a *arguments) error {
	d, err := time.ParseDuration(a.plain[0])
	time.Sleep(d)
	return err
}

func (s *scriptRun) epochs(a *arguments) error {
	for _, word := range a.plain {
		e, end := s.log.EpochEnd(protocol.LeaderEpoch(number(word)))
		s.printf("epoch %s: %d ends at %d\n", word, e, end)
	}
	return nil
}

// byTime looks for the first record not older than the given milliseconds.
func (s *scriptRun) byTime(a *arguments) error {
	now := time.Now().UnixMilli()
	found, ok, err := s.log.OffsetForTimestamp(now-number(a.plain[0]), s.log.LogEndOffset())
	if ok {
		s.printf("offset %d, %d ms old, epoch %d\n", found.Offset, now-found.Timestamp, found.LeaderEpoch)
	} else if err == nil {
		s.printf("none\n")
	}
	return err
}

func (s *scriptRun) newest(*arguments) error {
	found, ok, err := s.log.MaxTimestamp(s.log.LogEndOffset())
	if ok {
		s.printf("offset %d, %d ms old\n", found.Offset, time.Now().UnixMilli()-found.Timestamp)
	}
	return err
}

func (s *scriptRun) ls(a *arguments) error {
	entries, err := s.mem.ReadDir(a.plain[0])
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			name := e.Name()
			if at := strings.IndexByte(name, '.'); at > 0 && strings.HasSuffix(name, "-delete") {
				name = name[:at] + ".…-delete"
			}
			s.printf("%s/\n", name)
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.printf("%s %d\n", e.Name(), info.Size())
	}
	return nil
}

func (s *scriptRun) cat(a *arguments) error {
	b, err := readFile(s.mem, a.plain[0], 1<<20)
	s.printf("%s", strings.TrimRight(string(b), "\n")+"\n")
	return err
}

func (s *scriptRun) folders(*arguments) error {
	for _, f := range s.store.Folders() {
		s.printf("%s-%d %s in %s missing %v\n", f.Topic, f.Partition, f.ID, f.Directory, f.Missing)
	}
	return nil
}

func (s *scriptRun) format(a *arguments) error {
	return s.store.Format(a.plain[0], protocol.BrokerID(a.int("node", 1)), protocol.NewID())
}

// fail makes operations fail: "fail write|sync|… path=… nth=… error=EIO|ENOSPC short=…".
func (s *scriptRun) fail(a *arguments) error {
	ops := map[string]vfs.Op{"write": vfs.OpWrite, "sync": vfs.OpSync, "read": vfs.OpRead, "create": vfs.OpCreate, "syncdir": vfs.OpSyncDir, "truncate": vfs.OpTruncate, "rename": vfs.OpRename}
	errno := map[string]error{"": syscall.EIO, "EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EMFILE": syscall.EMFILE}[a.named["error"]]
	s.fs.Set(vfs.Rule{Ops: ops[a.plain[0]], Path: a.named["path"], Nth: int(a.int("nth", 0)), Err: errno, Short: int(a.int("short", 0))})
	return nil
}

// change rewrites a file of a store that is closed.
func (s *scriptRun) change(name string, edit func([]byte) []byte) error {
	b, err := readFile(s.mem, name, 1<<20)
	if err != nil {
		return err
	}
	if err := writeFile(s.mem, name, edit(b)); err != nil {
		return err
	}
	return s.mem.SyncDir(path.Dir(name))
}

func (s *scriptRun) flip(a *arguments) error {
	return s.change(a.plain[0], func(b []byte) []byte { b[number(a.plain[1])] ^= 1; return b })
}

func (s *scriptRun) cut(a *arguments) error {
	return s.change(a.plain[0], func(b []byte) []byte { return b[:number(a.plain[1])] })
}

func (s *scriptRun) pad(a *arguments) error {
	return s.change(a.plain[0], func(b []byte) []byte { return append(b, make([]byte, number(a.plain[1]))...) })
}
