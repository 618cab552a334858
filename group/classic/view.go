package classic

import (
	"slices"
	"strings"
	"time"

	"ottla/protocol"
)

// View is a group as an operator wants to see it.
type View struct {
	Group, State, ProtocolType, Protocol string
	// Since is when it came into its state; zero if that is not known.
	Since      time.Time
	Generation int32
	Leader     string // member id
	Members    []MemberView
	// Pending are those that were given a member id and have not joined with it.
	Pending []PendingView
	// Rebalance is the last one that this coordinator began; zero if none.
	Rebalance Rebalance
	// Until is when the present phase of a rebalance ends at the latest: those that are awaited are removed then. Zero if none goes on.
	Until time.Time
}

// MemberView is a member as an operator wants to see it.
type MemberView struct {
	ID, Instance                     string // Instance is empty of a dynamic member
	Client                           protocol.Client
	SessionTimeout, RebalanceTimeout time.Duration
	// Joined is when it came into the group, Heard when it was heard of last; zero if that was before the coordinator was loaded.
	Joined, Heard time.Time
	// Joining is since when it waits for the generation to begin; zero if it does not.
	Joining time.Time
	// Awaited tells whether the rebalance waits for it: to join, or to ask for its assignment.
	Awaited bool
	// Assignment is what the leader gave it, in the protocol type's own format.
	Assignment []byte
}

// PendingView is somebody who may join, as an operator wants to see it.
type PendingView struct {
	ID, ClientID string
	Since, Until time.Time
}

// View shows a group; ok is false if there is no committed record of it.
func (s *Groups) View(committed protocol.Offset, id string) (v View, ok bool) {
	g := s.visible(committed, id)
	if g == nil {
		return View{}, false
	}
	v = View{Group: id, State: g.state.String(), ProtocolType: g.protocolType, Protocol: g.protocol, Since: g.since, Generation: g.generation, Rebalance: g.rebalance}
	if g.leader != nil {
		v.Leader = g.leader.id
	}
	switch {
	case g.state == preparing:
		v.Until = g.joinTimer.due
	case g.state == completing && g.owing > 0:
		v.Until = g.syncTimer.due
	}
	for _, m := range g.members {
		v.Members = append(v.Members, m.view(g))
	}
	for id, p := range g.pending {
		v.Pending = append(v.Pending, PendingView{ID: id, ClientID: p.client, Since: p.since, Until: p.session.due})
	}
	slices.SortFunc(v.Pending, func(a, b PendingView) int { return strings.Compare(a.ID, b.ID) })
	return v, true
}

func (m *member) view(g *group) MemberView {
	v := MemberView{ID: m.id, Client: m.client, SessionTimeout: m.sessionTimeout, RebalanceTimeout: m.rebalanceTimeout, Joined: m.came, Heard: m.heard, Assignment: m.assignment}
	if m.static() {
		v.Instance = *m.instance
	}
	if m.join != nil {
		v.Joining = m.since
	}
	v.Awaited = g.state == preparing && m.join == nil || g.state == completing && m.owesSync
	return v
}
