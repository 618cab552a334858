package session

import "container/heap"

// rank is sessions with the one that is worth least first. It is a heap: that one is known at once, and any change costs O(log n), as an eviction may come with every request of a stranger.
type rank struct {
	of       rankOf
	sessions []*session
}

// rankOf says which of a Cache's ranks it is.
type rankOf int

const (
	seasoned  rankOf = iota // sessions that were used for longer than MinEviction: they may give way to any
	consumers               // those that are no follower's: they may give way to one
	ranks
)

func (r *rank) Len() int { return len(r.sessions) }

func (r *rank) Less(i, j int) bool {
	least := r.sessions[j]
	return r.sessions[i].worth(least.privileged, least.size, least.id) < 0
}

func (r *rank) Swap(i, j int) {
	s := r.sessions
	s[i], s[j] = s[j], s[i]
	s[i].places[r.of], s[j].places[r.of] = i, j
}

func (r *rank) Push(s any) {
	s.(*session).places[r.of] = len(r.sessions)
	r.sessions = append(r.sessions, s.(*session))
}

func (r *rank) Pop() any {
	last := len(r.sessions) - 1
	s := r.sessions[last]
	r.sessions[last] = nil
	r.sessions = r.sessions[:last]
	s.places[r.of] = unranked
	return s
}

// unranked is the place of a session that a rank does not have.
const unranked = -1

func (r *rank) has(s *session) bool { return s.places[r.of] != unranked }

func (r *rank) add(s *session) {
	if !r.has(s) {
		heap.Push(r, s)
	}
}

func (r *rank) remove(s *session) {
	if r.has(s) {
		heap.Remove(r, s.places[r.of])
	}
}

// resized puts s where its new size belongs.
func (r *rank) resized(s *session) {
	if r.has(s) {
		heap.Fix(r, s.places[r.of])
	}
}

// least is the session that is worth least; nil if there is none.
func (r *rank) least() *session {
	if len(r.sessions) == 0 {
		return nil
	}
	return r.sessions[0]
}
