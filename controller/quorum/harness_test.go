package quorum

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/raftlog"
	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// voter is a machine on a disk that the test moves itself, and the image that it has published.
type voter struct {
	*Machine
	shown *image.Image
}

// answer is what became of a request.
type answer struct {
	resp kmsg.Response
	err  error
}

func open(t testing.TB, fs vfs.FS) *voter {
	t.Helper()
	store, err := log.OpenStore(log.StoreOptions{FS: fs, Dirs: []string{"data"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	config := log.DefaultConfig()
	config.SegmentBytes, config.RetentionMs, config.RetentionBytes = 64<<20, -1, -1
	l, err := store.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, config, log.NopObserver{})
	if err != nil {
		t.Fatal(err)
	}
	storage, err := raftlog.Open(raftlog.Options{Log: l, FS: fs, Dir: "quorum", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v := &voter{shown: image.Empty()}
	v.Machine, err = Open(Options{
		Storage: storage, NodeID: 1, ClusterID: "the-cluster", Publish: func(img *image.Image, _ *image.Delta) { v.shown = img },
		NewTopicID: protocol.NewID, Rand: rand.New(rand.NewPCG(1, 1)), Logger: quiet, Metrics: NewMetrics(nil), SnapshotEntries: 10_000, SnapshotBytes: 20 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// stepped is a sole voter that leads.
func stepped(t *testing.T) *voter {
	t.Helper()
	v := open(t, vfs.NewMem())
	v.turn(t)
	if !v.mayDecide() || v.shown.ClusterID() == "" {
		t.Fatalf("leads %v, applied %d, barrier %d", v.leads, v.applied, v.barrier)
	}
	return v
}

func (v *voter) turn(t *testing.T) {
	t.Helper()
	if _, err := v.Ready(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

// later submits a request and returns where its answer will be.
func (v *voter) later(name string) *answer {
	a := &answer{}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
	req.Topics = append(req.Topics, topic)
	v.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) { *a = answer{resp, err} })
	return a
}
