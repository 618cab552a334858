package observer

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller"
	"ottla/controller/raftnet"
	"ottla/protocol"
	"ottla/protocol/client"
)

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	read, written *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// TestBytesOfAChange: a change costs an observer its entry, once, and what stands around one answer. While nothing happens it asks once in a while.
func TestBytesOfAChange(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{})
		m.register()
		var read, written atomic.Int64
		dial := r.network.Host(host(observerID))
		w := r.observe(Options{Connection: client.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			return &counted{c, &read, &written}, err
		}}}, m)
		defer w.end()
		w.equals(m)
		const changes = 100
		read.Store(0)
		written.Store(0)
		from := m.Image().Offset() + 1
		for i := range changes {
			m.create("topic-%d", i)
			synctest.Wait()
		}
		w.equals(m)
		entries := int64(len(fetched(t, m, from)))
		t.Logf("creation of a topic of 3 partitions: %d bytes of entry, %d fetched, %d to ask for it", entries/changes, read.Load()/changes, written.Load()/changes)
		if around := (read.Load() - entries) / changes; around > 120 || written.Load()/changes > 150 {
			t.Errorf("%d bytes around an entry of %d, %d to ask for it", around, entries/changes, written.Load()/changes)
		}
		read.Store(0)
		written.Store(0)
		time.Sleep(time.Minute)
		t.Logf("a minute of nothing: %d bytes fetched, %d to ask", read.Load(), written.Load())
		if read.Load()+written.Load() > 8<<10 {
			t.Errorf("%d bytes in a minute of nothing", read.Load()+written.Load())
		}
	})
}

// TestParkedPollsCostNoGoroutine on the side that serves.
func TestParkedPollsCostNoGoroutine(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		const observers = 200
		m := r.start(controller.Options{})
		m.register()
		conns := make([]*client.Conn, observers)
		for i := range conns {
			c, err := client.Dial(t.Context(), r.connection(protocol.BrokerID(10+i)), client.Target{Node: m.id, Address: host(m.id) + ":9092"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conns[i] = c
		}
		synctest.Wait()
		before, held := runtime.NumGoroutine(), heap()
		var answered atomic.Int32
		for i, c := range conns {
			req := kmsg.NewPtrFetchRequest()
			req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.ReplicaState.ID = fetchVersion, 60_000, 1, 1<<20, int32(10+i)
			p := kmsg.NewFetchRequestTopicPartition()
			p.FetchOffset, p.PartitionMaxBytes = int64(m.Image().Offset()+1), 1<<20
			topic := kmsg.NewFetchRequestTopic()
			topic.TopicID, topic.Partitions = protocol.MetadataTopicID, append(topic.Partitions, p)
			req.Topics = append(req.Topics, topic)
			raftnet.Ask(context.Background(), c, req, func(resp kmsg.Response, err error) {
				if err == nil && len(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches) > 0 {
					answered.Add(1)
				}
			})
		}
		synctest.Wait()
		t.Logf("a parked poll takes about %d bytes, with both ends of its connection", (heap()-held)/observers)
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines for %d polls", n-before, observers)
		}
		m.create("wakes-all")
		synctest.Wait()
		if n := answered.Load(); n != observers {
			t.Errorf("%d of %d were answered", n, observers)
		}
	})
}

// heap is the bytes in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
