package ottla

import (
	"testing"

	"ottla/controller/image"
	"ottla/protocol"
)

// Who waits for a change looks at the image when it is woken: before that is published it would see the old one, and wait for ever.
func TestBrokerIsWokenOnceTheImageShowsTheChange(t *testing.T) {
	b := newBroker(&Node{})
	for range 2 {
		b.follow(image.Empty(), &image.Delta{Brokers: []image.BrokerChange{{}}})
		if len(b.service) > 0 {
			t.Fatal("woken before the image is published")
		}
		b.published()
		if len(b.service) == 0 || len(b.changed) == 0 || len(b.pulse) == 0 {
			t.Fatal("not woken")
		}
		<-b.service
		<-b.changed
		<-b.pulse
		b.published() // of something else
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
