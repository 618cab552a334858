package classic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// MayDelete tells whether a group may be deleted: GROUP_ID_NOT_FOUND if there is none, NON_EMPTY_GROUP while somebody is in it.
func (s *Groups) MayDelete(id string) error {
	switch g := s.find(id); {
	case g == nil:
		return kerr.GroupIDNotFound
	case g.state != empty:
		return kerr.NonEmptyGroup
	}
	return nil
}

// Deleted says that the tombstone of an empty group is on its way. Somebody who was given a member id and has not joined yet has to begin anew.
func (s *Groups) Deleted(id string) {
	if g, ok := s.live[id]; ok {
		s.forget(g)
	}
	delete(s.last, id)
}

// MayForget tells whether single offsets of a group may be deleted, and which topics are not to be touched. A group with members must be one of consumers, as only of those it
// is known what they read: NON_EMPTY_GROUP. GROUP_ID_NOT_FOUND if there is no such group.
func (s *Groups) MayForget(id string) (reads func(topic string) bool, err error) {
	switch g := s.find(id); {
	case g == nil:
		return nil, kerr.GroupIDNotFound
	case g.state != empty && g.protocolType != ConsumerType:
		return nil, kerr.NonEmptyGroup
	default:
		return g.reads, nil
	}
}

// EmptySince tells since when nobody is in a group: ok is false if somebody is, or is about to be, and the time is zero if each of its offsets counts by itself.
func (s *Groups) EmptySince(id string) (since time.Time, ok bool) {
	g := s.find(id)
	if g == nil {
		return time.Time{}, true
	}
	if g.state != empty || len(g.pending) > 0 {
		return time.Time{}, false
	}
	if g.protocolType == "" {
		return time.Time{}, true
	}
	return g.since, true
}
