package handlers

// InitProducerID (key 22), versions 0 to 5: a producer id for idempotent writes. Every producer of the Java client since 3.0, of librdkafka with enable.idempotence and of franz-go asks for one.
//
//	v0  a new id with epoch 0 (KIP-98)
//	v1  throttling after the response (KIP-219)
//	v2  flexible (KIP-482)
//	v3  the id and epoch that a transactional producer already has (KIP-360); one without the other is INVALID_REQUEST, and without a transactional id both are ignored
//	v4  PRODUCER_FENCED (KIP-588)
//	v5  TRANSACTION_ABORTABLE (KIP-890)
//
// IdempotentWrite on the cluster is needed. Not done: transactions. A transactional id is refused with UNSUPPORTED_VERSION, which every client takes as final: the
// errors that Apache Kafka would give where no coordinator answers (NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE) make clients try until their time-outs. An empty one is INVALID_REQUEST as in Kafka.
// Differs from Apache Kafka: Write on any topic is not taken for IdempotentWrite (KIP-679), as the authorizer has no question "any".

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func initProducerID(r *request, req *kmsg.InitProducerIDRequest) kmsg.Response {
	fail := func(err error) kmsg.Response {
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.ErrorCode, resp.ProducerEpoch = r.code(err), int16(protocol.NoProducerEpoch)
		return resp
	}
	if err := r.checkProducer(req); err != nil {
		return fail(err)
	}
	return await(r, defaultTimeout, r.ProducerIDs.Next, func(id protocol.ProducerID, err error) kmsg.Response {
		if err != nil {
			return fail(err)
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.ProducerID = int64(id)
		return resp
	})
}

func (r *request) checkProducer(req *kmsg.InitProducerIDRequest) error {
	if id := req.TransactionalID; id != nil {
		if !r.mayTransact(protocol.OpWrite, *id) {
			return kerr.TransactionalIDAuthorizationFailed
		}
	} else if !r.mayCluster(protocol.OpIdempotentWrite) {
		return kerr.ClusterAuthorizationFailed
	}
	switch {
	case (req.ProducerID == int64(protocol.NoProducerID)) != (req.ProducerEpoch == int16(protocol.NoProducerEpoch)):
		return kerr.InvalidRequest
	case req.TransactionalID == nil:
		return nil
	case *req.TransactionalID == "":
		return kerr.InvalidRequest
	}
	return kerr.UnsupportedVersion
}
