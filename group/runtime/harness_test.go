package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/timeline"
	"ottla/protocol"
)

const topic = "__things"

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// replayed is what a log means to a toy.
func replayed(rs []Record) map[string]string {
	m := make(map[string]string)
	for _, r := range rs {
		if r.Value == nil {
			delete(m, string(r.Key))
		} else {
			m[string(r.Key)] = string(r.Value)
		}
	}
	return m
}

// toy is a map whose records say what it holds. What is soft is for the test to set, on the shard's turn.
type toy struct {
	shard   int32
	values  *timeline.Map[string, string]
	at      *timeline.Value[protocol.Offset] // of the last record
	loaded  time.Time
	closed  error
	wants   time.Time
	expired []time.Time
	expire  func(now time.Time) Effects
	inside  atomic.Bool
}

const bad = "bad" // a value that a toy cannot read

func newToy(shard int32, t *timeline.Timeline) *toy {
	return &toy{shard: shard, values: timeline.NewMap[string, string](t), at: timeline.NewValue(t, protocol.NoOffset)}
}

// alone finds out whether two goroutines are in the machine.
func (m *toy) alone() func() {
	if m.inside.Swap(true) {
		panic("two at a time")
	}
	return func() { m.inside.Store(false) }
}

func (m *toy) Apply(at protocol.Offset, r Record) error {
	defer m.alone()()
	if at <= m.at.Get() {
		return fmt.Errorf("offset %d after %d", at, m.at.Get())
	}
	if string(r.Value) == bad {
		return errors.New("a bad record")
	}
	m.at.Set(at)
	if r.Value == nil {
		m.values.Delete(string(r.Key))
	} else {
		m.values.Set(string(r.Key), string(r.Value))
	}
	return nil
}

func (m *toy) Loaded(now time.Time) Effects {
	defer m.alone()()
	m.loaded = now
	return Effects{}
}

func (m *toy) Deadline() time.Time { return m.wants }

func (m *toy) Expire(now time.Time) Effects {
	defer m.alone()()
	m.expired = append(m.expired, now)
	if m.expire == nil {
		m.wants = time.Time{}
		return Effects{}
	}
	return m.expire(now)
}

func (m *toy) Close(err error) {
	defer m.alone()()
	if m.closed != nil {
		panic("closed twice")
	}
	m.closed = err
}

// rig is a runtime of toys over slices.
type rig struct {
	*Runtime[*toy]
	t          testing.TB
	partitions map[int32]*partition

	mu    sync.Mutex
	toys  []*toy
	calls []string // answers, in order
}

func newRig(t testing.TB, o Options[*toy]) *rig {
	g := &rig{t: t, partitions: make(map[int32]*partition)}
	o.Topic, o.Logger = topic, quiet
	o.NewMachine = func(shard int32, tl *timeline.Timeline) *toy {
		m := newToy(shard, tl)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.toys = append(g.toys, m)
		return m
	}
	g.Runtime = New(o)
	return g
}

// inBubble runs f with a rig whose shard 0 is led.
func inBubble(t *testing.T, o Options[*toy], f func(t *testing.T, g *rig, p *partition)) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, o)
		defer g.close()
		p := g.lead(0, 1)
		synctest.Wait()
		f(t, g, p)
	})
}

func (g *rig) close() {
	g.t.Helper()
	if err := g.Close(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) partition(shard int32) *partition {
	p := g.partitions[shard]
	if p == nil {
		p = &partition{}
		g.partitions[shard] = p
	}
	return p
}

// lead makes this broker the shard's leader.
func (g *rig) lead(shard int32, epoch protocol.LeaderEpoch) *partition {
	p := g.partition(shard)
	p.moves(epoch, everything)
	g.Lead(shard, epoch, term{p, epoch})
	return p
}

func (g *rig) note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, fmt.Sprintf(format, args...))
}

// answers gives the answers so far, and forgets them.
func (g *rig) answers() []string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := g.calls
	g.calls = nil
	return calls
}

// machine is the youngest.
func (g *rig) machine() *toy {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.toys[len(g.toys)-1]
}

// effects writes key=value pairs and notes the answer under a name.
func (g *rig) effects(name string, records ...Record) Effects {
	return Effects{Records: records, Committed: func() { g.note("%s ok", name) }, Failed: func(err error) { g.note("%s %s", name, codeOf(err)) }}
}

// put decides to set a key.
func (g *rig) put(shard int32, key, value string) {
	name := key + "=" + value
	g.Write(shard, func(*toy, time.Time) Effects { return g.effects(name, Record{[]byte(key), []byte(value)}) },
		func(err error) { g.note("%s refused %s", name, codeOf(err)) })
}

// busy keeps the shard's turn until the function it returns is called: what is written meanwhile comes together.
func (g *rig) busy(shard int32) (release func()) {
	hold := make(chan struct{})
	g.Write(shard, func(*toy, time.Time) Effects { <-hold; return Effects{} }, func(err error) { g.t.Error(err) })
	synctest.Wait()
	return func() { close(hold) }
}

// state is the shard's current state and that as of the committed offset.
func (g *rig) state(shard int32) (now, committed map[string]string, at protocol.Offset) {
	g.t.Helper()
	synctest.Wait()
	g.Read(shard, func(m *toy, c protocol.Offset, _ time.Time) {
		now, committed, at = maps.Collect(m.values.All()), maps.Collect(m.values.AllAt(int64(c))), c
	}, func(err error) { g.t.Errorf("read: %v", err) })
	synctest.Wait()
	return now, committed, at
}

// refusal is the code that a shard answers without a machine, or "".
func (g *rig) refusal(shard int32) (code string) {
	synctest.Wait()
	g.Read(shard, func(*toy, protocol.Offset, time.Time) {}, func(err error) { code = codeOf(err) })
	synctest.Wait()
	return code
}

func codeOf(err error) string {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return "no wire error: " + err.Error()
	}
	return kerr.ErrorForCode(protocol.ErrorCode(err)).(*kerr.Error).Message
}

// build makes a batch of key=value pairs; "key" alone is a tombstone.
func build(b *batch.Builder, keys ...string) []byte {
	b.Reset()
	for i, k := range keys {
		value := []byte(nil)
		for n := range k {
			if k[n] == '=' {
				k, value = k[:n], []byte(k[n+1:])
				break
			}
		}
		b.Add(int64(i), []byte(k), value)
	}
	return b.Build(nil)
}

func counter(v string) int {
	n, _ := strconv.Atoi(v)
	return n
}
