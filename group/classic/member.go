package classic

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// member is one who is in a group.
type member struct {
	id       string
	instance *string // KIP-345; nil of a dynamic member
	client   protocol.Client

	said

	assignment []byte

	// join and sync answer the request that waits, nil if none does.
	join func(*kmsg.JoinGroupResponse)
	sync func(*kmsg.SyncGroupResponse)
	// isNew: it has not been in a generation yet. Such a member must not wait for ever: its client may be gone without a word, as it sends no heartbeats.
	isNew bool
	// owesSync: it was told the generation and has not asked for its assignment yet.
	owesSync bool
	// gone: it is out of its group, or another has taken its place.
	gone bool

	session *timer
	// came is when it joined the group, since when it began to wait for the generation to come, heard when it was heard of last. Zero: before the coordinator was loaded.
	came, since, heard time.Time
}

func (m *member) static() bool { return m.instance != nil }

// metadata is what the member says under a protocol; nil if it does not know the protocol.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// matches tells whether the member would say the same again.
func (m *member) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b kmsg.JoinGroupRequestProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// vote is the first of the member's protocols that everybody knows.
func (m *member) vote(candidate func(protocol string) bool) string {
	for _, p := range m.protocols {
		if candidate(p.Name) {
			return p.Name
		}
	}
	return ""
}

// excused tells whether the member need not send heartbeats: it waits for an answer of ours.
func (m *member) excused() bool { return !m.isNew && (m.join != nil || m.sync != nil) }

// awaitSync makes sync the SyncGroup that waits. One that waited already is told to come again: its client has sent another since.
func (m *member) awaitSync(sync func(*kmsg.SyncGroupResponse)) {
	m.answerSync(syncError(kerr.RebalanceInProgress))
	m.sync = sync
}

func (m *member) answerSync(resp *kmsg.SyncGroupResponse) bool {
	done := m.sync
	if done == nil {
		return false
	}
	m.sync = nil
	done(resp)
	return true
}
