package classic

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// group is the soft state of a group.
type group struct {
	id              string
	state, previous state
	since           time.Time // of the state; zero if the log does not say
	generation      int32
	assigned        int32  // the generation that an assignment was written for: another one would leave log and members apart
	protocolType    string // empty if nobody ever was in it
	protocol        string // empty if none is chosen
	leader          *member

	members []*member // in the order in which they came
	byID    map[string]*member
	statics map[string]*member // by instance id
	// pending have been given a member id and have not joined with it yet (KIP-394).
	pending map[string]*pending
	// supported counts the members that know a protocol.
	supported map[string]int
	// joining counts the members whose JoinGroup waits, owing those that owe a SyncGroup.
	joining, owing int
	// topics are those that members of a consumer group subscribe to; nil if they cannot be told.
	topics map[string]bool

	// initialLeft is how much longer the first rebalance of an empty group may be put off, initialDelay how long it is put off just now; newcomer: somebody came meanwhile.
	initialLeft, initialDelay time.Duration
	newcomer                  bool
	joinTimer, syncTimer      *timer

	// writes counts records on their way; ahead: one of them was lost, the log is behind this state.
	writes int
	ahead  bool

	rebalance Rebalance
}

// Rebalance is why and when a group rebalanced.
type Rebalance struct {
	Reason string
	Began  time.Time
	// Ended is when its assignment was committed, or nobody was left; zero while it goes on.
	Ended time.Time
}

type pending struct {
	session *timer
	client  string
	since   time.Time
}

func newGroup(id string, now time.Time) *group {
	return &group{id: id, since: now, byID: map[string]*member{}, statics: map[string]*member{}, pending: map[string]*pending{}, supported: map[string]int{}}
}

func (g *group) in(states ...state) bool { return slices.Contains(states, g.state) }

func (g *group) transition(now time.Time, to state) { g.previous, g.state, g.since = g.state, to, now }

// add takes a member in. Its JoinGroup may wait.
func (g *group) add(m *member, protocolType string) {
	if m.static() {
		g.statics[*m.instance] = m
	}
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == nil {
		g.leader = m
	}
	g.members = append(g.members, m)
	g.byID[m.id] = m
	g.count(m, 1)
	if m.join != nil {
		g.joining++
	}
	delete(g.pending, m.id)
}

// drop takes a member out. The caller has answered what waits, and stopped its timer.
func (g *group) drop(m *member) {
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	m.gone = true
	delete(g.byID, m.id)
	g.count(m, -1)
	g.settle(m)
	if m.static() && g.statics[*m.instance] == m {
		delete(g.statics, *m.instance)
	}
	if g.leader == m {
		g.leader = nil
		if len(g.members) > 0 {
			g.leader = g.members[0]
		}
	}
}

// settle says that a member owes no SyncGroup.
func (g *group) settle(m *member) {
	if m.owesSync {
		m.owesSync = false
		g.owing--
	}
}

func (g *group) count(m *member, by int) {
	for _, p := range m.protocols {
		if g.supported[p.Name] += by; g.supported[p.Name] == 0 {
			delete(g.supported, p.Name)
		}
	}
}

// said is what a member says of itself when it joins.
type said struct {
	protocols                        []kmsg.JoinGroupRequestProtocol // in the order of its liking
	sessionTimeout, rebalanceTimeout time.Duration
}

// update replaces what a member said of itself.
func (g *group) update(m *member, s said) {
	g.count(m, -1)
	m.said = s
	g.count(m, 1)
}

// await makes join the JoinGroup that waits for m. One that waited already is told to come again: its client has sent another since. (Apache Kafka never answers it.)
func (g *group) await(m *member, join func(*kmsg.JoinGroupResponse)) {
	g.answerJoin(m, joinError(m.id, kerr.RebalanceInProgress))
	if m.join = join; join != nil {
		g.joining++
	}
}

func (g *group) answerJoin(m *member, resp *kmsg.JoinGroupResponse) {
	if done := m.join; done != nil {
		m.join = nil
		g.joining--
		done(resp)
	}
}

// check tells whether a request is from a member, and not from one whose instance id another has taken.
func (g *group) check(id string, instance *string) error {
	if instance != nil {
		m, ok := g.statics[*instance]
		if !ok {
			return kerr.UnknownMemberID
		}
		if m.id != id {
			return kerr.FencedInstanceID
		}
	}
	if _, ok := g.byID[id]; !ok {
		return kerr.UnknownMemberID
	}
	return nil
}

func (g *group) allJoined() bool { return g.joining == len(g.members) && len(g.pending) == 0 }

// rebalanceTimeout is the longest of any member.
func (g *group) rebalanceTimeout() time.Duration {
	longest := time.Duration(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// idle tells whether the log says all there is to know of the group.
func (g *group) idle() bool {
	return g.state == empty && len(g.members) == 0 && len(g.pending) == 0 && g.writes == 0 && !g.ahead
}
