package session

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ottla/protocol"
	"ottla/protocol/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts give into testdata")

// TestScripts runs testdata/*.txt: a line is a command, the indented lines under it are what it gives.
//
//	cache slots=2 partitions=100 eviction=120   a new cache; what is left out has its default
//	topic NAME ID | drop NAME                   change the metadata
//	begin NAME v=13 id=1 epoch=1 at=5 replica=-1 want=a/0@10,b/1@20 forget=a/1
//	                                            open a request; a topic is a name that the metadata knows, or #ID
//	end NAME a/0=records a/1=hw:7 b/0=error:3   answer it, with what is not named as it was (high watermark and log start 0): those included are given
//	stats
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, string(want))
			if again := run(t, string(want)); again != got {
				t.Fatal("two runs differ")
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

type script struct {
	t     testing.TB
	cache *Cache
	m     *metadata
	open  map[string]*Context
	ids   map[string]protocol.TopicID // as clients know them: of topics that are gone too
}

func run(t testing.TB, text string) string {
	s := &script{t: t, m: newMetadata(), open: make(map[string]*Context), ids: make(map[string]protocol.TopicID)}
	s.newCache(nil)
	var out bytes.Buffer
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			for _, result := range s.command(words) {
				fmt.Fprintf(&out, "  %s\n", result)
			}
			s.cache.check(t)
		}
	}
	return out.String()
}

func (s *script) command(words []string) []string {
	switch words[0] {
	case "cache":
		s.newCache(words[1:])
	case "topic":
		id := byte(s.number(words[2]))
		s.m.create(words[1], id)
		s.ids[words[1]] = topicID(id)
	case "drop":
		s.m.drop(words[1])
	case "begin":
		return s.begin(words[1], words[2:])
	case "end":
		return s.end(words[1], words[2:])
	case "stats":
		return []string{fmt.Sprintf("%+v", s.cache.Stats())}
	default:
		s.t.Fatalf("unknown command %q", words)
	}
	return nil
}

func (s *script) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *script) newCache(args []string) {
	o := Options{Slots: 10, MaxPartitions: DefaultMaxPartitions, MinEviction: DefaultMinEviction, Random: counting()}
	for _, arg := range args {
		switch name, value, _ := strings.Cut(arg, "="); name {
		case "slots":
			o.Slots = s.number(value)
		case "partitions":
			o.MaxPartitions = s.number(value)
		case "eviction":
			o.MinEviction = time.Duration(s.number(value)) * time.Second
		}
	}
	s.cache = NewCache(o)
}

func (s *script) begin(name string, args []string) []string {
	f, at := fetch{version: 13, replica: -1}, 0
	for _, arg := range args {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "v":
			f.version = int16(s.number(value))
		case "id":
			f.id = int32(s.number(value))
		case "epoch":
			f.epoch = int32(s.number(value))
		case "replica":
			f.replica = int32(s.number(value))
		case "at":
			at = s.number(value)
		case "want":
			for w := range strings.SplitSeq(value, ",") {
				f.want = append(f.want, s.partition(w, f.version))
			}
		case "forget":
			for w := range strings.SplitSeq(value, ",") {
				f.drop = append(f.drop, s.partition(w, f.version))
			}
		default:
			s.t.Fatalf("unknown argument %q", arg)
		}
	}
	x := new(Context)
	if err := s.cache.Begin(x, f.scanner(s.t), s.m, start.Add(time.Duration(at)*time.Second)); err != nil {
		return []string{err.Error()[:strings.IndexByte(err.Error(), ':')], s.order(x)}
	}
	s.open[name] = x
	return []string{fmt.Sprintf("session %d", x.SessionID()), s.order(x)}
}

// partition reads topic/partition@offset.
func (s *script) partition(text string, version int16) wanted {
	text, offset, _ := strings.Cut(text, "@")
	topic, partition, _ := strings.Cut(text, "/")
	w := wanted{name: topic, partition: int32(s.number(partition))}
	if offset != "" {
		w.offset = int64(s.number(offset))
	}
	if version >= topicIDVersion {
		w.name, w.id = "", s.ids[topic]
		if id, ok := strings.CutPrefix(topic, "#"); ok {
			w.id = topicID(byte(s.number(id)))
		}
	}
	return w
}

func partitionName(p *Partition) string {
	name := p.Topic
	if name == "" {
		name = fmt.Sprintf("#%d", p.ID[15])
	}
	return fmt.Sprintf("%s/%d", name, p.Index)
}

func (s *script) order(x *Context) string {
	var names []string
	x.Each(func(p *Partition) {
		text := fmt.Sprintf("%s@%d", partitionName(p), p.FetchOffset)
		if p.Err != nil {
			text += "!" + p.Err.Message
		}
		names = append(names, text)
	})
	if len(names) != x.Len() {
		s.t.Fatalf("%d partitions, Len says %d", len(names), x.Len())
	}
	return "[" + strings.Join(names, " ") + "]"
}

func (s *script) end(name string, args []string) []string {
	results := make(map[string]string)
	for _, arg := range args {
		partition, result, _ := strings.Cut(arg, "=")
		results[partition] = result
	}
	x := s.open[name]
	delete(s.open, name)
	var included []string
	x.Each(func(p *Partition) {
		r := s.result(results[partitionName(p)])
		if p.Err != nil {
			r = wire.FailedFetch(p.Index, p.Err.Code)
		}
		if x.Include(p, &r) {
			included = append(included, partitionName(p))
		}
	})
	x.End()
	return []string{"[" + strings.Join(included, " ") + "]"}
}

func (s *script) result(text string) wire.FetchResult {
	r := wire.FetchResult{PreferredReadReplica: protocol.NoBroker}
	if text == "" {
		return r
	}
	for what := range strings.SplitSeq(text, "+") {
		switch name, value, _ := strings.Cut(what, ":"); name {
		case "records":
			r.RecordsSize = 100
		case "null":
			r.RecordsSize = -1
		case "hw":
			r.HighWatermark = protocol.Offset(s.number(value))
		case "start":
			r.LogStart = protocol.Offset(s.number(value))
		case "error":
			r.ErrorCode = int16(s.number(value))
		case "diverging":
			r.DivergingEpoch.Told = true
		case "replica":
			r.PreferredReadReplica = protocol.BrokerID(s.number(value))
		default:
			s.t.Fatalf("unknown result %q", what)
		}
	}
	return r
}
