package ottla

import (
	"testing"

	"ottla/controller/image"
	"ottla/protocol"
)

// Everybody who waits for a change that has to do with this node is woken by it, and nobody by another.
func TestBrokerIsWokenByWhatIsItsBusiness(t *testing.T) {
	b := newBroker(&Node{})
	for range 2 {
		b.follow(&image.Delta{Brokers: []image.BrokerChange{{}}})
		if len(b.service) == 0 || len(b.changed) == 0 || len(b.pulse) == 0 {
			t.Fatal("not woken")
		}
		<-b.service
		<-b.changed
		<-b.pulse
		b.follow(&image.Delta{Topics: []image.TopicChange{{}}})
		if len(b.service) > 0 {
			t.Fatal("woken by what is none of its business")
		}
	}
}

// The id of a founder is its own before it has registered: nodes that join meanwhile do not get it.
func TestAFoundersIDIsBoundFromTheFirstRecordOn(t *testing.T) {
	n := mustStart(t, Config{Data: t.TempDir(), Listen: "127.0.0.1:0"})
	defer mustClose(t, n)
	if directory, bound := n.controller.Image().Assigned(n.id); !bound || directory != n.directory || n.id == protocol.NoBroker {
		t.Fatalf("node %d is bound to %v", n.id, directory)
	}
}
