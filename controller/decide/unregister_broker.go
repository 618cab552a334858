package decide

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// unregisterBroker decides key 64: forgets a broker, up or down. It stays a replica of what it holds, and in the ELR where it is: should it come back under its
// id with its directories, it is what it was.
func (d *decision) unregisterBroker(req *kmsg.UnregisterBrokerRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	b := d.view.Broker(protocol.BrokerID(req.BrokerID))
	if b == nil {
		err := protocol.Errorf(kerr.BrokerIDNotRegistered, "Broker ID %d is not currently registered", req.BrokerID)
		resp.ErrorCode, resp.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		return d.outcome(resp, false)
	}
	resp.ErrorMessage = new(string) // empty and not null, as Kafka sends it
	(&standing{decision: d, broker: b.ID, online: b.Dirs}).settle()
	if len(b.Dirs) > 0 {
		d.retire(b.ID, b.Dirs[0])
	}
	d.records = append(d.records, record.Of(&record.BrokerUnregistration{Id: req.BrokerID, Epoch: int64(b.Epoch)}))
	return d.divisible(resp)
}
