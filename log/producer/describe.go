package producer

import (
	"cmp"
	"slices"

	"ottla/protocol"
)

// Info is what is shown of one producer.
type Info struct {
	ID               protocol.ProducerID
	Epoch            protocol.ProducerEpoch
	LastSequence     protocol.Sequence // NoSequence: none in this epoch
	LastTimestamp    int64             // of its last batch, milliseconds; NoTimestamp: none in this epoch
	CoordinatorEpoch int32             // of its last transaction marker; -1: none
	TxnFirst         protocol.Offset   // where its open transaction begins; NoOffset: none is open
}

// Describe lists the producers that are remembered, by id.
func (s *State) Describe() []Info {
	list := make([]Info, 0, len(s.producers))
	for id, p := range s.producers {
		i := Info{ID: id, Epoch: p.epoch, LastSequence: p.lastSequence(), LastTimestamp: protocol.NoTimestamp, CoordinatorEpoch: p.coordinatorEpoch, TxnFirst: p.txnFirst}
		if n := len(p.window); n > 0 {
			i.LastTimestamp = p.window[n-1].Timestamp
		}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
