package ottla

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
	"ottla/protocol/memnet"
)

// heard is a log for the eyes of a test.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *heard) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *heard) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func quietly(c Config) Config {
	c.Logger = slog.New(slog.DiscardHandler)
	if c.Listen == "" && c.Properties["listeners"] == "" {
		c.Listen = "127.0.0.1:0"
	}
	return c
}

func mustStart(t testing.TB, c Config) *Node {
	t.Helper()
	n, err := Start(t.Context(), quietly(c))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustClose(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// settled waits until no more goroutines run than before.
func settled(t testing.TB, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// hookFS calls before ahead of every operation that changes the disk.
type hookFS struct {
	*vfs.Mem
	before func()
}

type hookFile struct {
	vfs.File
	before func()
}

func (f hookFile) Sync() error     { f.before(); return f.File.Sync() }
func (f hookFile) SyncData() error { f.before(); return f.File.SyncData() }
func (f hookFile) WriteAt(b []byte, off int64) (int, error) {
	f.before()
	return f.File.WriteAt(b, off)
}
func (f hookFile) WriteVecAt(bufs [][]byte, off int64) (int, error) {
	f.before()
	return f.File.WriteVecAt(bufs, off)
}

func (h hookFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hookFile{f, h.before}, nil
}

func (h hookFS) Create(name string) (vfs.File, error) { h.before(); return h.wrap(h.Mem.Create(name)) }
func (h hookFS) Open(name string) (vfs.File, error)   { return h.wrap(h.Mem.Open(name)) }
func (h hookFS) SyncDir(dir string) error             { h.before(); return h.Mem.SyncDir(dir) }
func (h hookFS) Rename(a, b string) error             { h.before(); return h.Mem.Rename(a, b) }
func (h hookFS) MkdirAll(dir string) error            { h.before(); return h.Mem.MkdirAll(dir) }

// memory is a Config that needs neither disk nor network.
func memory(fs vfs.FS) Config {
	return Config{FS: fs, Data: "data", Listen: "10.0.0.1:9092", ListenFunc: func(_ context.Context, network, address string) (net.Listener, error) {
		return memnet.New().Listen(address)
	}}
}

// TestFoundingSurvivesEveryCrash kills the process, and cuts the power, at every moment of the founding of a cluster and of its first stop: the next start succeeds.
func TestFoundingSurvivesEveryCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var clones []*vfs.Mem
	mem := vfs.NewMem()
	fs := hookFS{mem, func() {
		mu.Lock()
		defer mu.Unlock()
		clones = append(clones, mem.CrashClone(nil, 0), mem.CrashClone(rng, 0.5), mem.CrashClone(nil, 1))
	}}
	n := mustStart(t, memory(fs))
	id := n.ClusterID()
	mustClose(t, n)
	mu.Lock()
	defer mu.Unlock()
	t.Log(len(clones)/3, "moments")
	same := 0
	for i, clone := range clones {
		n, err := Start(t.Context(), quietly(memory(clone)))
		if err != nil {
			t.Fatalf("clone %d: %v", i, err)
		}
		if n.ClusterID() == id {
			same++
		}
		mustClose(t, n)
	}
	if same == 0 || same == len(clones) {
		t.Errorf("%d of %d starts found the same cluster", same, len(clones))
	}
}

// TestStartFailsAtEveryStep makes each of the disk's operations fail during a start, the first and a later one: an error or a working node, nothing left behind, and a healed disk works.
func TestStartFailsAtEveryStep(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpCreate, vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpTruncate, vfs.OpSize, vfs.OpRename, vfs.OpMkdir, vfs.OpReadDir, vfs.OpSyncDir, vfs.OpLock, vfs.OpClose} {
		for nth := 1; nth <= 8; nth++ {
			for _, founded := range []bool{false, true} {
				mem := vfs.NewMem()
				if founded {
					mustClose(t, mustStart(t, memory(mem)))
				}
				before := runtime.NumGoroutine()
				n, err := Start(t.Context(), quietly(memory(vfs.NewFaulty(mem, vfs.Rule{Ops: op, Nth: nth, Err: syscall.EIO}))))
				if err == nil {
					_ = n.Close(context.Background())
				}
				settled(t, before)
				n, again := Start(t.Context(), quietly(memory(mem)))
				if again != nil {
					t.Fatalf("op %v number %d failed (%v, founded %t), and the next start: %v", op, nth, err, founded, again)
				}
				mustClose(t, n)
			}
		}
	}
}

// TestInterruptedStart ends the start when the listener is open and nobody serves it yet: the port is free again.
func TestInterruptedStart(t *testing.T) {
	before := runtime.NumGoroutine()
	data := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var address string
	c := quietly(Config{Data: data, ListenFunc: func(ctx context.Context, network, at string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(ctx, network, at)
		if err == nil {
			address = l.Addr().String()
		}
		cancel()
		return l, err
	}})
	if _, err := Start(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	settled(t, before)
	mustClose(t, mustStart(t, Config{Data: data, Listen: address}))
}

// TestStartRefuses goes through what operators get wrong: the error says what, nothing is left behind, and nothing in the folder has changed.
func TestStartRefuses(t *testing.T) {
	founded := t.TempDir()
	mustClose(t, mustStart(t, Config{Data: founded}))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nameless := t.TempDir() // its meta.properties was lost
	mustClose(t, mustStart(t, Config{Data: nameless}))
	if err := os.Remove(filepath.Join(nameless, "meta.properties")); err != nil {
		t.Fatal(err)
	}
	orphaned := t.TempDir() // partitions without a quorum
	mustClose(t, mustStart(t, Config{Data: orphaned}))
	if err := errors.Join(os.RemoveAll(filepath.Join(orphaned, quorumFolder)), os.RemoveAll(filepath.Join(orphaned, "__cluster_metadata-0")), os.Mkdir(filepath.Join(orphaned, "events-0"), 0o700)); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running := t.TempDir()
	defer mustClose(t, mustStart(t, Config{Data: running}))
	other := mustStart(t, Config{Data: t.TempDir()})
	defer mustClose(t, other)
	one, seven, minus := int32(1), int32(7), int32(-7)
	for _, c := range []struct {
		name string
		Config
		want string
	}{
		{"data is a file", Config{Data: file}, "not a directory"},
		{"folder in use", Config{Data: running}, "locked by another process"},
		{"another node's folder", Config{Data: founded, NodeID: &seven}, "is node 1's"},
		{"negative node", Config{Data: founded, NodeID: &minus}, "node id -7"},
		{"quorum not first", Config{Properties: map[string]string{"log.dirs": t.TempDir() + "," + founded}}, "name it first"},
		{"quorum lost", Config{Data: orphaned}, "no metadata quorum"},
		{"meta.properties lost", Config{Data: nameless}, "meta.properties"},
		{"port in use", Config{Data: founded, Listen: taken.Addr().String()}, "address already in use"},
		{"no port", Config{Data: founded, Listen: "localhost"}, "missing port"},
		{"http port in use", Config{Data: founded, HTTP: taken.Addr().String()}, "address already in use"},
		{"http no port", Config{Data: founded, HTTP: "9080"}, "missing port"},
		{"advertise no port", Config{Data: founded, Advertise: "broker.example.org"}, "missing port"},
		{"advertise port 0", Config{Data: founded, Advertise: "broker.example.org:0"}, "port 0"},
		{"advertise no host", Config{Data: founded, Advertise: ":9092"}, "no host"},
		{"join nowhere", Config{Data: founded, Join: []string{"other"}}, "want HOST:PORT"},
		{"join without the secret", Config{Data: t.TempDir(), Join: []string{"127.0.0.1:1"}}, "needs the secret"},
		{"a secret that can be guessed", Config{Data: t.TempDir(), Secret: "secret"}, "can be guessed"},
		{"join with another secret", Config{Data: t.TempDir(), Join: []string{other.Addr().String()}, Secret: "not the secret of it"}, "cluster's secret"},
		{"data of another cluster", Config{Data: founded, Join: []string{other.Addr().String()}, Secret: other.Secret}, "is a node of another one"},
		{"a node id that is taken", Config{Data: t.TempDir(), NodeID: &one, Join: []string{other.Addr().String()}, Secret: other.Secret}, "belongs to directory"},
		{"too few to found", Config{Data: t.TempDir(), Join: []string{"127.0.0.1:1", "127.0.0.1:2"}, BootstrapExpect: 1}, "number of addresses"},
		{"bad number", Config{Data: founded, Properties: map[string]string{"num.partitions": "many"}}, "num.partitions"},
		{"bad node id", Config{Data: founded, Properties: map[string]string{"node.id": "one"}}, "node.id"},
		{"two folders, one twice", Config{Properties: map[string]string{"log.dirs": founded + "," + founded + "/"}}, "twice"},
		{"no folder", Config{Properties: map[string]string{"log.dirs": " , "}}, "log.dirs"},
		{"TLS", Config{Data: founded, Properties: map[string]string{"listeners": "SSL://:9093"}}, "serves PLAINTEXT alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := c.Data
			if folder == "" {
				folder = founded
			}
			was := contents(t, folder)
			before := runtime.NumGoroutine()
			if n, err := Start(t.Context(), quietly(c.Config)); err == nil {
				mustClose(t, n)
				t.Fatal("it started")
			} else if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
			settled(t, before)
			if is := contents(t, folder); is != was && c.name != "port in use" && c.name != "quorum lost" { // these two are found out when the folder is open
				t.Errorf("the folder was\n%s\nand is\n%s", was, is)
			}
		})
	}
}

// contents lists a folder's files with their sizes and times.
func contents(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ".lock" {
			return err
		}
		info, err := e.Info()
		if err == nil {
			fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestKafkaFile starts with the property file that Apache Kafka ships, but for its folder and ports.
func TestKafkaFile(t *testing.T) {
	props, err := config.ParseProperties(strings.NewReader(stockProperties))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "kraft-combined-logs")
	props["log.dirs"] = folder
	props["listeners"] = "PLAINTEXT://127.0.0.1:0,CONTROLLER://:9093"
	said := new(heard)
	n, err := Start(t.Context(), Config{Properties: props, Logger: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, n)
	if _, err := os.Stat(filepath.Join(folder, "meta.properties")); err != nil {
		t.Error(err)
	}
	if n.NodeID() != 1 || !strings.HasPrefix(n.Addr().String(), "127.0.0.1:") {
		t.Errorf("node %d at %s", n.NodeID(), n.Addr())
	}
	if !strings.Contains(said.String(), "num.io.threads") {
		t.Errorf("properties without effect are not named: %s", said)
	}
}

// stockProperties is what Kafka 4's config/server.properties sets.
const stockProperties = `# Licensed to the Apache Software Foundation (ASF)
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
`

// TestReadiness follows /readyz through a node's life: 503 until clients are served and again while the node drains.
func TestReadiness(t *testing.T) {
	var during []int
	probe := func(address string) {
		resp, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		during = append(during, resp.StatusCode)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port for HTTP that is known beforehand
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	n := mustStart(t, Config{Data: t.TempDir(), HTTP: address, ListenFunc: func(ctx context.Context, network, at string) (net.Listener, error) {
		probe(address)
		return new(net.ListenConfig).Listen(ctx, network, at)
	}})
	probe(address)
	n.closing = append(n.closing, func(context.Context) error { probe(address); return nil })
	mustClose(t, n)
	if want := []int{503, 200, 503}; !slices.Equal(during, want) {
		t.Errorf("/readyz gave %v, want %v", during, want)
	}
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	a, b := mustStart(t, Config{Data: t.TempDir(), HTTP: "127.0.0.1:0"}), mustStart(t, Config{Data: t.TempDir(), HTTP: "127.0.0.1:0"}) // two in one process
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := a.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	// A client that neither sends nor goes away holds nothing up, even without any time to drain.
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Close(expired); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	settled(t, before)
}

// TestAnotherLogDirectory adds a folder to a node that has one, as the crash between the preparation of two does: both belong to the node then.
func TestAnotherLogDirectory(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	mustClose(t, mustStart(t, Config{Data: first}))
	n := mustStart(t, Config{Properties: map[string]string{"log.dirs": first + "," + second}})
	defer mustClose(t, n)
	if _, err := os.Stat(filepath.Join(second, "meta.properties")); err != nil {
		t.Error(err)
	}
}

// TestStalledDiskIsNotReady: /readyz tells why, while the node serves on; and ready again when the disk answers.
func TestStalledDiskIsNotReady(t *testing.T) {
	n := mustStart(t, Config{Data: t.TempDir(), HTTP: "127.0.0.1:0"})
	defer mustClose(t, n)
	why := ""
	f := func() string { return why }
	n.operators.obstacle.Store(&f)
	for _, step := range []struct {
		why  string
		code int
	}{{"", 200}, {"the disk is stalled: fsync of x has taken 7s", 503}, {"", 200}} {
		why = step.why
		w := httptest.NewRecorder()
		n.operators.answerReady(w, nil)
		if w.Code != step.code || !strings.Contains(w.Body.String(), step.why) {
			t.Errorf("%q: %d %s", step.why, w.Code, w.Body)
		}
	}
}

// TestFailedDiskEndsTheNode: Done is closed, and Close tells why. It is what makes the process exit with a code that is not 0.
func TestFailedDiskEndsTheNode(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem())
	n := mustStart(t, memory(disk))
	disk.Set(vfs.Rule{Ops: vfs.OpSync, Err: syscall.EROFS})
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
	req.Topics = append(req.Topics, topic)
	n.controller.Submit(protocol.Anonymous, req, func(_ kmsg.Response, err error) {
		if err == nil {
			t.Error("answered by a disk that failed")
		}
	})
	<-n.Done()
	if err := n.Close(context.Background()); !errors.Is(err, syscall.EROFS) {
		t.Errorf("closed with %v", err)
	}
}
