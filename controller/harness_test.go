package controller

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// node is a controller on a disk, with what its subscriber was told.
type node struct {
	*Controller
	store    *log.Store
	ready    chan struct{} // closed with the first delta
	followed *image.Image  // built from the deltas' images; the driver's goroutine
	deltas   int
	cancel   context.CancelFunc
	ended    chan error
}

// open makes a node that is not running yet.
func open(fs vfs.FS, o Options) (*node, error) {
	store, err := log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		return nil, err
	}
	l, err := store.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, LogConfig(), log.NopObserver{})
	if err != nil {
		return nil, err
	}
	o.Log, o.FS, o.Dir, o.NodeID, o.Logger = l, fs, "quorum", 1, quiet
	if o.ClusterID == "" {
		o.ClusterID = "the-cluster"
	}
	c, err := Open(o)
	if err != nil {
		return nil, err
	}
	n := &node{Controller: c, store: store, ready: make(chan struct{}), ended: make(chan error, 2)}
	c.Subscribe(func(img *image.Image, d *image.Delta) {
		n.followed = img
		if n.deltas++; n.deltas == 1 {
			close(n.ready)
		}
	})
	return n, nil
}

// start opens and runs a node in a bubble, and returns when it is ready.
func start(t testing.TB, fs vfs.FS, o Options) *node {
	t.Helper()
	n, err := open(fs, o)
	if err != nil {
		t.Fatal(err)
	}
	n.run()
	select {
	case <-n.ready:
		synctest.Wait() // the image is visible after the subscribers have seen it
	case err := <-n.ended:
		t.Fatalf("ended before it was ready: %v", err)
	}
	return n
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.ended <- n.store.Run(ctx) }()
	go func() { n.ended <- n.Run(ctx) }()
}

// halt ends the goroutines without a clean stop of the store: the disk is what it is.
func (n *node) halt() error {
	n.cancel()
	return errors.Join(<-n.ended, <-n.ended)
}

func (n *node) stop(t testing.TB) {
	t.Helper()
	if err := errors.Join(n.halt(), n.store.Close()); err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	resp kmsg.Response
	err  error
}

// ask submits a request and waits for its answer.
func ask[T kmsg.Response](t testing.TB, n *node, req kmsg.Request) T {
	t.Helper()
	answers := make(chan answer, 1)
	n.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
	a := <-answers
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.resp.(T)
}

func (n *node) register(t testing.TB) protocol.BrokerEpoch {
	t.Helper()
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 2, 1, "the-cluster", protocol.NewID()
	req.LogDirs = [][16]byte{{0: 1, 15: 200}}
	listener := kmsg.NewBrokerRegistrationRequestListener()
	listener.Name, listener.Host, listener.Port = "PLAINTEXT", "localhost", 9092
	req.Listeners = append(req.Listeners, listener)
	feature := kmsg.NewBrokerRegistrationRequestFeature()
	feature.Name, feature.MinSupportedVersion, feature.MaxSupportedVersion = record.Feature, record.MinLevel, record.MaxLevel
	req.Features = append(req.Features, feature)
	resp := ask[*kmsg.BrokerRegistrationResponse](t, n, req)
	if resp.ErrorCode != 0 {
		t.Fatalf("registration: error %d", resp.ErrorCode)
	}
	return protocol.BrokerEpoch(resp.BrokerEpoch)
}

func createTopics(validateOnly bool, names ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = 7, validateOnly
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
		req.Topics = append(req.Topics, topic)
	}
	return req
}

func deleteTopic(name string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	return req
}

func (n *node) create(t testing.TB, name string) {
	t.Helper()
	resp := ask[*kmsg.CreateTopicsResponse](t, n, createTopics(false, name))
	if code := resp.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("create %s: error %d", name, code)
	}
}

// contents is all that an image says.
func contents(img *image.Image) []byte { return record.Encode(img.Snapshot()) }

func topicNames(img *image.Image) []string {
	var names []string
	for topic := range img.Topics() {
		names = append(names, topic.Name)
	}
	return slices.Clip(names)
}
