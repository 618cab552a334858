package decide

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// producerIDBlock is how many ids a broker gets at a time (KIP-730).
const producerIDBlock = 1000

// allocateProducerIDs decides key 67: the next block of ids, for a registered broker.
func (d *decision) allocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	if err := d.checkBrokerEpoch(req.BrokerID, req.BrokerEpoch); err != nil {
		resp.ErrorCode = protocol.ErrorCode(err)
		return d.outcome(resp, false)
	}
	first := d.view.NextProducerID()
	if first > math.MaxInt64-producerIDBlock {
		resp.ErrorCode = kerr.UnknownServerError.Code // as in Kafka; 292 million years of blocks a second
		return d.outcome(resp, false)
	}
	resp.ProducerIDStart, resp.ProducerIDLen = int64(first), producerIDBlock
	d.records = append(d.records, record.Of(&record.ProducerIDs{
		Next: int64(first) + producerIDBlock, BrokerId: req.BrokerID, BrokerEpoch: req.BrokerEpoch,
	}))
	return d.outcome(resp, false)
}
