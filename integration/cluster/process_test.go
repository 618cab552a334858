package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestServeKeepsItsContract(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
		r, err := http.Get("http://" + p.http + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", path, r.Status)
		}
	}
	p.node().topic(t, "here", 1)

	second := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "lock") {
		t.Errorf("a second process on one data folder: %v, %s", err, out)
	}

	p.signal(t, syscall.SIGTERM)
	<-p.exited
	if p.exitErr != nil {
		t.Fatalf("SIGTERM: %v\n%s", p.exitErr, p.stderr)
	}
}

func TestHelpIsPrintedWithoutACommand(t *testing.T) {
	out, err := command(t).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Available Commands") {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestADataFolderBelongsToOneCluster(t *testing.T) {
	data := t.TempDir()
	serve(t, data).kill()
	meta := filepath.Join(data, "meta.properties")
	raw, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(raw)) {
		if strings.HasPrefix(l, "cluster.id=") {
			l = "cluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n"
		}
		lines = append(lines, l)
	}
	changed := strings.Join(lines, "")
	if err := os.WriteFile(meta, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cluster") {
		t.Fatalf("another cluster's meta.properties: %v, %s", err, out)
	}
	if now, err := os.ReadFile(meta); err != nil || string(now) != changed {
		t.Fatalf("meta.properties was touched: %v", err)
	}
	out, err = command(t, "serve", "--data", t.TempDir(), "--node-id", "7", "--join", "127.0.0.1:1", "--http", "").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "join") {
		t.Fatalf("--join: %v, %s", err, out)
	}
}

func TestNodeIDIsKept(t *testing.T) {
	data := t.TempDir()
	serve(t, data, "--node-id", "7").kill()
	out, err := command(t, "serve", "--data", data, "--node-id", "8", "--listen", "127.0.0.1:0", "--http", "").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "7") {
		t.Fatalf("another node's folder: %v, %s", err, out)
	}
	p := serve(t, data)
	md, err := p.node().admin(t).BrokerMetadata(t.Context())
	if err != nil || md.Brokers[0].NodeID != 7 {
		t.Fatalf("node id %v, %v", md.Brokers, err)
	}
}

// A process killed under load loses no record that was acknowledged, by acks=1 or acks=all, and keeps idempotent producers' places.
func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	for how, opts := range map[string][]kgo.Opt{"idempotent": nil, "acks=1": {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())}} {
		t.Run(how, func(t *testing.T) {
			data := t.TempDir()
			p := serve(t, data)
			p.node().topic(t, "killed", 10)
			var mu sync.Mutex
			acked := map[string]bool{}
			underLoad := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cl := p.node().client(t, append([]kgo.Opt{kgo.DefaultProduceTopic("killed"), kgo.RecordRetries(0)}, opts...)...)
			go func() {
				for i := 0; ctx.Err() == nil; i++ {
					v := fmt.Append(nil, i)
					cl.Produce(ctx, &kgo.Record{Key: v, Value: v}, func(r *kgo.Record, err error) {
						if err != nil {
							return
						}
						mu.Lock()
						defer mu.Unlock()
						acked[string(r.Value)] = true
						if len(acked) == 10_000 {
							close(underLoad)
						}
					})
				}
			}()
			<-underLoad
			p.kill()
			mu.Lock()
			want := maps.Clone(acked)
			mu.Unlock()
			cancel()
			cl.Close()
			q := serve(t, data)
			seen := map[string]int{}
			offsets, err := q.node().admin(t).ListEndOffsets(t.Context(), "killed")
			if err := errors.Join(err, offsets.Error()); err != nil {
				t.Fatal(err)
			}
			var total int64
			for _, o := range offsets["killed"] {
				total += o.Offset
			}
			for _, r := range q.node().consumeAll(t, "killed", int(total)) {
				seen[string(r.Value)]++
			}
			for v := range want {
				if seen[v] != 1 {
					t.Fatalf("record %s was acknowledged and is there %d times", v, seen[v])
				}
			}
			t.Logf("%d acknowledged, %d there", len(want), len(seen))
		})
	}
}
