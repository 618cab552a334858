package quorum

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
)

// confirmation is an answer that waits for no entry, but for a majority's word that we still led when it was decided: who slept, or is cut off, may have a successor that has decided otherwise.
type confirmation struct {
	round   uint64
	pending pending
}

// confirmRoundSize tells our questions to raft from those of catchUp, which are longer.
const confirmRoundSize = 8

// confirm answers p when this leadership has been confirmed. A sole voter has no successor. Raft asks again with every heartbeat until it is answered.
func (q *Machine) confirm(p pending) {
	if q.soleVoter() {
		p.answer()
		return
	}
	if n := len(q.confirming); n > 0 && q.confirming[n-1].round == q.round && q.roundOpen {
		q.confirming = append(q.confirming, confirmation{q.round, p})
		return
	}
	q.round++
	q.roundOpen = true
	q.confirming = append(q.confirming, confirmation{q.round, p})
}

// askConfirmation asks for what confirm has gathered.
func (q *Machine) askConfirmation() {
	if q.roundOpen {
		q.roundOpen = false
		q.node.ReadIndex(binary.BigEndian.AppendUint64(nil, q.round))
	}
}

// noteConfirmed answers what raft has confirmed.
func (q *Machine) noteConfirmed(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != confirmRoundSize {
			continue
		}
		round := binary.BigEndian.Uint64(s.RequestCtx)
		for len(q.confirming) > 0 && q.confirming[0].round <= round {
			p := q.confirming[0].pending
			q.confirming = q.confirming[1:]
			p.answer()
		}
	}
}

// dropConfirmations fails what was not confirmed.
func (q *Machine) dropConfirmations() {
	dropped := q.confirming
	q.confirming, q.roundOpen = nil, false
	for i := range dropped {
		dropped[i].pending.err = ErrNotController
		dropped[i].pending.answer()
	}
}
