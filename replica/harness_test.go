package replica

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/batch"
	"ottla/log/purgatory"
	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
)

const me protocol.BrokerID = 1

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// broker is a manager on a real log store, and the image that it follows.
type broker struct {
	*Manager
	store  *log.Store
	image  *image.Image
	cancel context.CancelFunc
	ended  chan error
}

// boot starts a broker; its first image has the records.
func boot(t testing.TB, fs vfs.FS, rs ...*record.Record) *broker {
	t.Helper()
	store, err := log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{store: store, image: image.Empty(), ended: make(chan error, 2)}
	b.Manager = New(Options{
		Store: store, Broker: me, Logger: quiet,
		Settings: func() config.Values { return config.Values{} },
	})
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(context.Background())
	go func() { b.ended <- store.Run(ctx) }()
	go func() { b.ended <- b.Manager.Run(ctx) }()
	b.apply(rs...)
	return b
}

// launch is boot in a bubble, and lets the smallest amount of time pass: at the flusher's very first moment nothing is due yet.
func launch(t testing.TB, fs vfs.FS, rs ...*record.Record) *broker {
	t.Helper()
	b := boot(t, fs, rs...)
	time.Sleep(time.Nanosecond)
	return b
}

// apply is what the controller does.
func (b *broker) apply(rs ...*record.Record) {
	next, delta := b.image.Apply(b.image.Offset()+1, 1, rs)
	b.image = next
	b.Manager.Apply(next, delta)
}

func (b *broker) stop(t testing.TB) {
	t.Helper()
	b.cancel()
	if err := errors.Join(<-b.ended, <-b.ended, b.store.Close()); err != nil {
		t.Fatal(err)
	}
}

func topicID(name string) protocol.TopicID {
	id := protocol.TopicID{0: 0x70}
	copy(id[1:], name)
	id[15] = name[len(name)-1]
	return id
}

// topic is the records of a topic whose partitions this broker leads alone, in epoch 0.
func topic(name string, partitions int) []*record.Record {
	return topicOn(name, partitions, []int32{int32(me)}, []int32{int32(me)}, int32(me))
}

func topicOn(name string, partitions int, replicas, isr []int32, leader int32) []*record.Record {
	id := topicID(name)
	rs := []*record.Record{record.Of(&record.Topic{Name: name, Id: id[:]})}
	for n := range partitions {
		rs = append(rs, record.Of(&record.Partition{
			TopicId: id[:], Partition: int32(n), Replicas: replicas, Isr: isr, Leader: leader, Directories: make([]byte, 16*len(replicas)),
		}))
	}
	return rs
}

func deletion(name string) *record.Record {
	id := topicID(name)
	return record.Of(&record.TopicDeletion{TopicId: id[:]})
}

func setConfig(scope config.Scope, resource, name, value string) *record.Record {
	return record.Of(&record.Config{ResourceType: int32(scope), ResourceName: resource, Name: name, Value: &value})
}

func (b *broker) leader(t testing.TB, name string, partition int32) *Partition {
	t.Helper()
	p, err := b.Leader(topicID(name), partition)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// records is a producer's batch of count records.
func records(count int) []byte {
	b := batch.NewBuilder()
	for range count {
		b.Add(time.Now().UnixMilli(), nil, []byte("some value"))
	}
	return b.Build(nil)
}

func (p *Partition) mustAppend(t testing.TB, count int, acks int16) *log.AppendInfo {
	t.Helper()
	var info log.AppendInfo
	if err := p.Append(records(count), acks, log.AppendOptions{Origin: log.Client}, &info); err != nil {
		t.Fatal(err)
	}
	return &info
}

// waker notes that it was called.
type waker struct{ woken bool }

func (w *waker) Wake() { w.woken = true }

// wait parks for an offset, or for bytes.
type wait struct {
	purgatory.Waiter
	waker
}

var deadlines = purgatory.New()

func (p *Partition) waitOffset(at protocol.Offset) *wait {
	w := &wait{}
	deadlines.Start(&w.Waiter, &w.waker, time.Time{})
	w.Offset(p.Waiters(), at)
	w.Ready(0)
	return w
}

func (p *Partition) waitBytes(need int64) *wait {
	w := &wait{}
	deadlines.Start(&w.Waiter, &w.waker, time.Time{})
	w.Bytes(p.Waiters(), p.Waiters().Visible())
	w.Ready(need)
	return w
}

// read is the bytes of one fetch.
func (p *Partition) read(t testing.TB, from protocol.Offset) []byte {
	t.Helper()
	var out log.ReadResult
	err := p.Read(log.ReadOptions{From: from, MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: -1, LastFetchedEpoch: -1}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if out.Range.Source == nil {
		return nil
	}
	defer out.Range.Source.Release()
	b := make([]byte, out.Range.Size)
	if _, err := out.Range.Source.ReadAt(b, out.Range.Position); err != nil {
		t.Fatal(err)
	}
	return slices.Clip(b)
}
