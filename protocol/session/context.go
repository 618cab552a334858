package session

import (
	"slices"
	"time"

	"ottla/protocol"
	"ottla/protocol/wire"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Context is one Fetch request from Begin to End. Its owner keeps it for the next request: then neither a request without a session nor an incremental one allocates.
// It is used by one goroutine at a time.
type Context struct {
	cache       *Cache
	session     *session // nil: the request has none
	incremental bool
	byID        bool
	asked       []Partition // of a request without a session, in its order
	moved       []int32     // slots of the session that returned records, in the order of Include
}

// keepPartitions is how many partitions a Context keeps room for between requests.
const keepPartitions = 1024

// Begin opens a request: a full one, which may open a session, or the next of a session, with what it adds, changes and forgets. All that is needed of the scanner is copied,
// so the frame may go while the request waits. r tells which topics there are.
//
// An error is the whole answer, with session id 0 and no partitions: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH (ErrInUse if an earlier request of the session is not over), or FETCH_SESSION_TOPIC_ID_ERROR for a session
// that went from names to topic ids or back. End is then not needed.
func (c *Cache) Begin(x *Context, s *wire.FetchScanner, r Resolver, now time.Time) error {
	*x = Context{cache: c, byID: s.Version() >= topicIDVersion, asked: x.asked[:0], moved: x.moved[:0]}
	if s.SessionEpoch == wire.InitialSessionEpoch || s.SessionEpoch == wire.FinalSessionEpoch {
		x.beginFull(s, r, now)
		return nil
	}
	return x.beginIncremental(s, r, now)
}

// topicIDVersion is the first Fetch version that names topics by id (KIP-516).
const topicIDVersion = 13

// beginFull closes the session that the request names, whatever its epoch, and opens one if asked to and there is room.
func (x *Context) beginFull(s *wire.FetchScanner, r Resolver, now time.Time) {
	if s.SessionID != wire.NoSessionID {
		x.cache.remove(s.SessionID)
	}
	x.askAll(s, r)
	if s.SessionEpoch == wire.FinalSessionEpoch {
		return
	}
	if x.session = x.cache.create(x.asked, x.byID, s.ReplicaID >= 0, now); x.session != nil {
		x.session.resolved = r.Version()
	}
}

// askAll copies the request's partitions.
func (x *Context) askAll(s *wire.FetchScanner, r Resolver) {
	x.asked = slices.Grow(x.asked, s.AllPartitions)
	var w wire.FetchPartition
	for name, id, ok := s.NextTopic(); ok; name, id, ok = s.NextTopic() {
		topic := x.topic(name, id, r)
		for s.NextPartition(&w) {
			topic.Index = w.Partition
			topic.want(&w)
			x.asked = append(x.asked, topic)
		}
	}
}

// topic is a Partition that has only its topic, resolved. The name is the metadata's copy where there is one.
func (x *Context) topic(name []byte, id protocol.TopicID, r Resolver) Partition {
	p := Partition{ID: id, highWatermark: protocol.NoOffset, logStart: protocol.NoOffset}
	if x.byID {
		p.resolve(true, r)
		return p
	}
	if p.Topic, p.ID = r.Topic(name); p.Topic == "" {
		p.Topic, p.Err = string(name), kerr.UnknownTopicOrPartition
	}
	return p
}

func (x *Context) beginIncremental(s *wire.FetchScanner, r Resolver, now time.Time) error {
	var err error
	if x.session, err = x.cache.claim(s.SessionID, s.SessionEpoch, x.byID, now); err != nil {
		return err
	}
	x.incremental = true
	before := x.session.partitions.len()
	x.update(s, r)
	x.forget(s)
	x.resolve(r)
	after := x.session.partitions.len()
	if after == before && after > 0 || x.cache.resize(x.session, after) {
		return nil
	}
	x.session, x.incremental = nil, false
	if after > 0 {
		return kerr.FetchSessionIDNotFound
	}
	s.Rewind()
	x.askAll(s, r) // Kafka answers a request that empties its session as one without
	return nil
}

func (x *Context) update(s *wire.FetchScanner, r Resolver) {
	all := &x.session.partitions
	var w wire.FetchPartition
	for name, id, ok := s.NextTopic(); ok; name, id, ok = s.NextTopic() {
		var topic Partition // filled in for the topic's first new partition
		for s.NextPartition(&w) {
			p := all.find(id, name, w.Partition)
			if p == nil {
				if topic.Topic == "" && topic.Err == nil {
					topic = x.topic(name, id, r)
				}
				p = all.add(all.key(id, topic.Topic, w.Partition))
				p.Topic, p.ID, p.Err = topic.Topic, topic.ID, topic.Err
			}
			p.want(&w)
		}
	}
}

func (x *Context) forget(s *wire.FetchScanner) {
	s.RewindForgotten()
	for name, id, ok := s.NextForgottenTopic(); ok; name, id, ok = s.NextForgottenTopic() {
		for partition, ok := s.NextForgottenPartition(); ok; partition, ok = s.NextForgottenPartition() {
			x.session.partitions.remove(id, name, partition)
		}
	}
}

// resolve looks all topics up again if the metadata has changed since the session's last request.
func (x *Context) resolve(r Resolver) {
	version := r.Version()
	if x.session.resolved == version {
		return
	}
	x.session.resolved = version
	x.Each(func(p *Partition) { p.resolve(x.byID, r) })
}

// SessionID is what the answer carries: 0 without a session.
func (x *Context) SessionID() int32 {
	if x.session == nil {
		return wire.NoSessionID
	}
	return x.session.id
}

// Len is how many partitions Each visits.
func (x *Context) Len() int {
	if x.session == nil {
		return len(x.asked)
	}
	return x.session.partitions.len()
}

// Each visits every partition to fetch in the order in which they get their share of the answer's bytes: that of the request, or in a session those that
// returned records longest ago first. The pointers are good until End. f may call Include.
func (x *Context) Each(f func(*Partition)) {
	if x.session == nil {
		for i := range x.asked {
			f(&x.asked[i])
		}
		return
	}
	all := &x.session.partitions
	for i := all.head; i != none; i = all.slots[i].next {
		f(&all.slots[i])
	}
}

// Include tells whether the answer has to have the partition: always, but in an incremental answer only with news. It takes it that r is sent if so, and is called
// once for each partition, when the answer is written.
func (x *Context) Include(p *Partition, r *wire.FetchResult) bool {
	if x.session == nil {
		return true
	}
	news := p.told(r)
	if x.incremental && r.RecordsSize > 0 {
		x.moved = append(x.moved, x.session.partitions.slot(p))
	}
	return news || !x.incremental
}

// End closes the request: partitions that returned records go to the end of the session's order, and the session is free for its next request.
// It comes before the client can have the whole answer, as that request may follow at once.
func (x *Context) End() {
	if x.session != nil {
		for _, i := range x.moved {
			x.session.partitions.moveBack(i)
		}
		x.cache.release(x.session)
	}
	if cap(x.asked) > keepPartitions {
		x.asked = nil
	}
	clear(x.asked) // their names would keep an old metadata image alive
	*x = Context{asked: x.asked[:0], moved: x.moved[:0]}
}
