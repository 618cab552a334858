package session

import (
	"cmp"
	"container/list"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"ottla/protocol/wire"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Options bounds a Cache.
type Options struct {
	// Slots is how many sessions there may be (max.incremental.fetch.session.cache.slots); 0 is none: every fetch is then answered without one.
	Slots int
	// MaxPartitions bounds the partitions of all sessions together, at some 200 bytes each. Followers are exempt. Kafka has no such bound.
	MaxPartitions int
	// MinEviction is how long a session is safe from a larger one, and after how long unused it gives way to any (min.incremental.fetch.session.eviction.ms).
	MinEviction time.Duration
	// Random draws session ids; nil is the runtime's generator. An id is all that a request needs to use a session, so it should not be guessable.
	Random func() uint32
}

const (
	// DefaultMaxPartitions keeps sessions below some 200 MB whatever clients do.
	DefaultMaxPartitions = 1_000_000
	// DefaultMinEviction is Kafka's.
	DefaultMinEviction = 2 * time.Minute
)

// Cache holds the sessions of one broker.
type Cache struct {
	o Options

	mu         sync.Mutex
	sessions   map[int32]*session
	lastUsed   *list.List // of *session, the longest unused first
	ranks      [ranks]rank
	partitions int // of all sessions, as of their size
	evictions  uint64
}

// session is what one fetcher's requests share. The request that has it in use owns partitions and resolved; the rest is guarded by Cache.mu.
type session struct {
	id         int32
	epoch      int32 // expected of the next request
	privileged bool  // a follower's
	inUse      bool
	size       int // partitions
	created    time.Time
	used       time.Time
	element    *list.Element // nil: no longer in the cache
	places     [ranks]int    // in the cache's ranks

	partitions partitions
	resolved   int64 // Resolver.Version that the partitions are up to date with
}

// NewCache returns an empty cache.
func NewCache(o Options) *Cache {
	if o.Random == nil {
		o.Random = rand.Uint32
	}
	c := &Cache{o: o, sessions: make(map[int32]*session), lastUsed: list.New()}
	for of := range ranks {
		c.ranks[of].of = of
	}
	return c
}

// Stats is what a Cache holds, and how often a session gave way to another since the start.
type Stats struct {
	Sessions, Partitions int
	Evictions            uint64
}

// Stats counts.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Sessions: len(c.sessions), Partitions: c.partitions, Evictions: c.evictions}
}

// ErrInUse is INVALID_FETCH_SESSION_EPOCH of a session whose last request is not answered yet: on the same connection the next one's turn comes after that.
var ErrInUse = fmt.Errorf("fetch session is in use: %w", kerr.InvalidFetchSessionEpoch)

// claim takes a session into use for an incremental request, and moves its epoch on.
func (c *Cache) claim(id, epoch int32, byID bool, now time.Time) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[id]
	switch {
	case s == nil:
		return nil, kerr.FetchSessionIDNotFound
	case s.inUse:
		return nil, ErrInUse
	case s.epoch != epoch:
		return nil, kerr.InvalidFetchSessionEpoch
	case s.partitions.byID != byID: // byID never changes, so it may be read while another request has the session
		return nil, kerr.FetchSessionTopicIDError
	}
	s.inUse = true
	s.epoch = nextEpoch(epoch)
	s.used = now
	c.lastUsed.MoveToBack(s.element)
	c.rank(s)
	return s, nil
}

// nextEpoch wraps to 1: 0 and -1 have meanings of their own.
func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// resize notes how many partitions a session in use has come to have. One that is empty, or for which there is no room any more, is dropped.
func (c *Cache) resize(s *session, size int) (kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.element == nil {
		return size > 0
	}
	c.partitions += size - s.size
	s.size = size
	for of := range c.ranks {
		c.ranks[of].resized(s)
	}
	if size == 0 || !s.privileged && c.partitions > c.o.MaxPartitions {
		c.drop(s)
		return false
	}
	return true
}

func (c *Cache) release(s *session) {
	c.mu.Lock()
	s.inUse = false
	c.mu.Unlock()
}

// remove closes a session. A request that has it in use goes on undisturbed; the next one will not find it.
func (c *Cache) remove(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[id]; s != nil {
		c.drop(s)
	}
}

func (c *Cache) drop(s *session) {
	delete(c.sessions, s.id)
	c.lastUsed.Remove(s.element)
	for of := range c.ranks {
		c.ranks[of].remove(s)
	}
	s.element = nil
	c.partitions -= s.size
}

// create makes a session out of the partitions of a full request, in use by it; nil if there is no room. A partition named twice counts twice for the decision.
// (Kafka makes it when the answer is ready; here its id is known before a long poll. It is as old as its first request.)
func (c *Cache) create(asked []Partition, byID, privileged bool, now time.Time) *session {
	if !c.room(privileged, len(asked), now) {
		return nil
	}
	s := &session{
		epoch: nextEpoch(wire.InitialSessionEpoch), privileged: privileged, inUse: true, created: now, used: now,
		partitions: newPartitions(byID, asked), // outside the lock: it may be long
		places:     [ranks]int{unranked, unranked},
	}
	s.size = s.partitions.len()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.fits(privileged, s.size) { // another was faster
		return nil
	}
	for s.id = 0; s.id == wire.NoSessionID || c.sessions[s.id] != nil; {
		s.id = int32(c.o.Random() >> 1)
	}
	c.sessions[s.id] = s
	s.element = c.lastUsed.PushBack(s)
	c.rank(s)
	c.partitions += s.size
	return s
}

func (c *Cache) fits(privileged bool, size int) bool {
	return len(c.sessions) < c.o.Slots && (privileged || c.partitions+size <= c.o.MaxPartitions)
}

// room makes sure that a session of a size fits, if need be by dropping others that are worth less.
func (c *Cache) room(privileged bool, size int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.o.Slots <= 0 || !privileged && size > c.o.MaxPartitions {
		return false
	}
	for !c.fits(privileged, size) {
		victim := c.victim(privileged, size, now)
		if victim == nil {
			return false
		}
		c.drop(victim)
		c.evictions++
	}
	return true
}

// rank puts s where a new session looks for one that gives way. It stays there: the time between creation and last use only grows.
func (c *Cache) rank(s *session) {
	if s.used.Sub(s.created) > c.o.MinEviction {
		c.ranks[seasoned].add(s)
	}
	if !s.privileged {
		c.ranks[consumers].add(s)
	}
}

// victim is the session that gives way to a new one, by Kafka's rules: the longest unused if it is stale, else the one worth least if it is worth less than the new one.
// Old enough is judged as of a session's last use.
func (c *Cache) victim(privileged bool, size int, now time.Time) *session {
	oldest := c.lastUsed.Front()
	if oldest == nil {
		return nil
	}
	if s := oldest.Value.(*session); now.Sub(s.used) > c.o.MinEviction {
		return s
	}
	least := c.ranks[seasoned].least()
	if consumer := c.ranks[consumers].least(); privileged && (least == nil || consumer != nil && consumer.worth(least.privileged, least.size, least.id) < 0) {
		least = consumer
	}
	if least == nil || least.worth(privileged, size, 0) >= 0 {
		return nil
	}
	return least
}

// worth compares: a follower's session is worth more than a consumer's, then a larger one more than a smaller, then the id decides. New sessions have id 0.
func (s *session) worth(privileged bool, size int, id int32) int {
	switch {
	case s.privileged != privileged && privileged:
		return -1
	case s.privileged != privileged:
		return 1
	}
	return cmp.Or(cmp.Compare(s.size, size), cmp.Compare(s.id, id))
}
