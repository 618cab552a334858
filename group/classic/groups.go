package classic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/log/timeline"
	"ottla/protocol"
)

// Options are what a broker's configuration says of classic groups.
type Options struct {
	// InitialRebalanceDelay is how long the first members of an empty group wait for others.
	InitialRebalanceDelay time.Duration
	// MaxSize is the most members of a group.
	MaxSize int
	// NewID makes the part of a member's id that tells it from all others.
	NewID func() string
}

// newMemberTimeout bounds how long somebody waits who never was in a generation: its client sends no heartbeats yet, so nothing tells if it is still there.
const newMemberTimeout = 5 * time.Minute

// Groups are the classic groups of one shard.
type Groups struct {
	Options
	images *timeline.Map[string, *image] // replayed state
	// live are the groups of which there is more to know than the log says: those with members, and those where somebody is about to join or to write.
	live map[string]*group
	// last is the last rebalance of groups that are not live any more.
	last      map[string]Rebalance
	deadlines deadlines
	// now is when the last operation was: committed and failed writes have no time of their own.
	now time.Time
	// answered are members whose request waited for a write. Their sessions begin with the next call of Expire, which is at once: the log may have taken longer than a session.
	answered []*member
}

// New returns the groups of a shard whose log is yet to be replayed.
func New(t *timeline.Timeline, o Options) *Groups {
	return &Groups{Options: o, images: timeline.NewMap[string, *image](t), live: map[string]*group{}, last: map[string]Rebalance{}}
}

// Loaded says that the log was replayed: members are given a session to show themselves in. A group that is over its size rebalances.
func (s *Groups) Loaded(now time.Time) runtime.Effects {
	t := s.begin(now)
	for id, i := range s.images.All() {
		if len(i.Members) == 0 {
			continue
		}
		g := s.revive(id, i)
		if len(g.members) > s.MaxSize {
			s.prepareRebalance(t, g, "the group was loaded with more members than group.max.size allows")
		}
	}
	return t.effects()
}

// Deadline is when Expire wants to be called; zero for never.
func (s *Groups) Deadline() time.Time {
	if len(s.answered) > 0 {
		return s.now
	}
	return s.deadlines.next()
}

// maxExpired bounds, in bytes, what one call of Expire writes: when a coordinator has been loaded, the members of many groups may be silent at once.
const maxExpired = 256 << 10

// Expire ends sessions and rebalances whose time is over. What is more than one append takes waits for the next call, which is at once.
func (s *Groups) Expire(now time.Time) runtime.Effects {
	t := s.begin(now)
	for _, m := range s.answered {
		if !m.gone {
			s.heard(m, m.sessionTimeout)
		}
	}
	clear(s.answered)
	s.answered = s.answered[:0]
	for t.size < maxExpired {
		due := s.deadlines.pop(now)
		if due == nil {
			break
		}
		due.fire(t)
	}
	return t.effects()
}

// Close answers whoever waits with err.
func (s *Groups) Close(err error) {
	for _, g := range s.live {
		for _, m := range g.members {
			g.answerJoin(m, joinError(m.id, err))
			m.answerSync(syncError(err))
		}
	}
	s.deadlines.clear()
}

func (s *Groups) begin(now time.Time) *turn {
	s.now = now
	return &turn{now: now}
}

// liveGroup is the live group of an id, nil if there is none. Who is in a group is in a live one. Where the last member went and the group was deleted in one append that
// failed, the log still has what was forgotten here: its members are taken in again, and given a session, as after a load.
func (s *Groups) liveGroup(id string) *group {
	if g, ok := s.live[id]; ok {
		return g
	}
	if i, ok := s.images.Get(id); ok && len(i.Members) > 0 {
		return s.revive(id, i)
	}
	return nil
}

// find is the group of an id, nil if there is none. A group in which nobody is comes from its image and is not kept.
func (s *Groups) find(id string) *group {
	if g := s.liveGroup(id); g != nil {
		return g
	}
	if i, ok := s.images.Get(id); ok {
		return s.rest(id, i)
	}
	return nil
}

// rest is a group that is not live.
func (s *Groups) rest(id string, i *image) *group {
	g := fromImage(id, i)
	g.rebalance = s.last[id]
	return g
}

// fromImage is a group as the log says it is.
func fromImage(id string, i *image) *group {
	g := newGroup(id, i.changedAt())
	g.generation, g.protocolType = i.Generation, i.ProtocolType
	if i.Protocol != nil {
		g.protocol = *i.Protocol
	}
	for n := range i.Members {
		v := &i.Members[n]
		rebalance := v.RebalanceTimeoutMillis
		if rebalance == -1 {
			rebalance = v.SessionTimeoutMillis // of a time when there was but one
		}
		g.add(&member{id: v.MemberID, instance: v.InstanceID, client: protocol.Client{ID: v.ClientID, Host: v.ClientHost},
			said: said{protocols: []kmsg.JoinGroupRequestProtocol{{Name: g.protocol, Metadata: v.Subscription}},
				sessionTimeout: millis(v.SessionTimeoutMillis), rebalanceTimeout: millis(rebalance)},
			assignment: v.Assignment}, i.ProtocolType)
	}
	if len(g.members) > 0 {
		g.state = stable
		if i.Leader != nil && g.byID[*i.Leader] != nil {
			g.leader = g.byID[*i.Leader]
		}
		g.subscribe()
	}
	return g
}

// revive makes an image a live group.
func (s *Groups) revive(id string, i *image) *group {
	g := fromImage(id, i)
	s.adopt(g)
	for _, m := range g.members {
		s.watch(g, m)
		s.heard(m, m.sessionTimeout)
	}
	return g
}

// adopt makes a group live.
func (s *Groups) adopt(g *group) {
	s.live[g.id] = g
	delete(s.last, g.id)
	g.joinTimer = newTimer(func(t *turn) { s.joinTimeout(t, g) })
	g.syncTimer = newTimer(func(t *turn) { s.syncTimeout(t, g) })
}

// release forgets the soft state of a group if the log says all there is to know.
func (s *Groups) release(g *group) {
	if s.live[g.id] == g && g.idle() {
		s.forget(g)
		if _, ok := s.images.Get(g.id); ok && !g.rebalance.Began.IsZero() {
			s.last[g.id] = g.rebalance
		}
	}
}

// forget takes a group in which nobody is out of the soft state.
func (s *Groups) forget(g *group) {
	delete(s.live, g.id)
	s.deadlines.stop(g.joinTimer)
	s.deadlines.stop(g.syncTimer)
	for _, p := range g.pending {
		s.deadlines.stop(p.session)
	}
}

// write appends a record of a group. One of the two functions, which may be nil, is called when its fate is known.
func (s *Groups) write(t *turn, g *group, r runtime.Record, committed func(), failed func(error)) {
	g.writes++
	t.write(r, func() {
		g.writes--
		g.ahead = false
		if committed != nil {
			committed()
		}
		s.release(g)
	}, func(err error) {
		g.writes--
		g.ahead = true
		if failed != nil {
			failed(err)
		}
	})
}

func millis[N int32 | int64](n N) time.Duration { return time.Duration(n) * time.Millisecond }
