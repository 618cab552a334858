package decide

import (
	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// Fence takes a broker out of service whose session is over; nil if that incarnation is out of it already. Like the outcome of a heartbeat it may be cut.
func Fence(env Env, v *image.Image, id protocol.BrokerID, epoch protocol.BrokerEpoch) []*record.Record {
	d := &decision{Env: env, view: v}
	b := v.Broker(id)
	if b == nil || b.Epoch != epoch || b.Fenced {
		return nil
	}
	d.fence(b)
	return d.records
}

// The record about the broker comes last: where the entry is cut, who does it again does what is missing.

func (d *decision) fence(b *image.Broker) {
	(&standing{decision: d, broker: b.ID, online: b.Dirs}).settle()
	d.records = append(d.records, record.Of(&record.BrokerFencing{Id: int32(b.ID), Epoch: int64(b.Epoch), Fenced: true}))
}

func (d *decision) unfence(b *image.Broker) {
	(&standing{decision: d, broker: b.ID, leads: true, online: b.Dirs}).settle()
	d.records = append(d.records, record.Of(&record.BrokerFencing{Id: int32(b.ID), Epoch: int64(b.Epoch)}))
}

// shutDown begins a controlled shutdown, or moves what has come to the broker since it began.
func (d *decision) shutDown(b *image.Broker) {
	(&standing{decision: d, broker: b.ID, online: b.Dirs}).settle()
	if !b.InControlledShutdown {
		d.records = append(d.records, record.Of(&record.BrokerFencing{Id: int32(b.ID), Epoch: int64(b.Epoch), InControlledShutdown: true}))
	}
}
