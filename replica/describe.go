package replica

import (
	"ottla/log/producer"
	"ottla/protocol"
)

// Producers are the idempotent producers that the partition remembers, by id.
//
// Errors: those of leadership.
func (p *Partition) Producers() ([]producer.Info, error) {
	if _, err := p.leads(protocol.NoLeaderEpoch); err != nil {
		return nil, err
	}
	return p.log.Producers()
}
