package handlers

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// fakeGroups are coordinators that answer as they are told.
type fakeGroups struct {
	clients []protocol.Client
	asked   []kmsg.Request
	// decide answers at once, on another goroutine; nil never answers.
	decide func(kmsg.Request) kmsg.Response
	late   []func(kmsg.Response) // the callbacks of what was not answered
}

func (g *fakeGroups) Submit(c protocol.Client, req kmsg.Request, done func(kmsg.Response)) {
	fakes.Lock()
	g.clients, g.asked = append(g.clients, c), append(g.asked, req)
	decide := g.decide
	if decide == nil {
		g.late = append(g.late, done)
	}
	fakes.Unlock()
	if decide != nil {
		go func() { done(decide(req)) }()
	}
}

func (g *fakeGroups) requests() (asked []kmsg.Request) {
	with(func() { asked = g.asked })
	return asked
}

// unanswered is the callbacks of the calls that hang.
func (g *fakeGroups) unanswered() (late []func(kmsg.Response)) {
	with(func() { late = g.late })
	return late
}

// fakeDisks is the log directories of a node.
type fakeDisks struct{}

func (fakeDisks) LogDirs() []LogDir {
	at := func(topic string, partition int32, size int64) LogDirPartition {
		return LogDirPartition{protocol.TopicPartition{Topic: topic, Partition: partition}, size}
	}
	return []LogDir{
		{Path: "/a", Total: 1000, Free: 600, Partitions: []LogDirPartition{at("t", 1, 20), at("s", 0, 5), at("t", 0, 10), at("__cluster_metadata", 0, 99)}},
		{Path: "/b", Err: errors.New("secret"), Total: 1, Free: 1},
	}
}
