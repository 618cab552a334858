package handlers

// Produce (key 0), versions 3 to 13: appends one batch to each partition named. Versions 0 to 2 are advertised, as Apache Kafka 4 does for the sake of old librdkafka, and close the connection.
//
//	v3  magic 2 batches, transactional id (KIP-98)
//	v4  KAFKA_STORAGE_ERROR is known to the client (KIP-112)
//	v5  log start offset in the answer (KIP-107)
//	v6  throttling after the response (KIP-219)
//	v7  zstd (KIP-110): before that UNSUPPORTED_COMPRESSION_TYPE
//	v8  which records were refused, and an error message (KIP-467)
//	v9  flexible (KIP-482)
//	v10 the current leader and its address beside NOT_LEADER_OR_FOLLOWER (KIP-951)
//	v11 TRANSACTION_ABORTABLE (KIP-890)
//	v12 a produce request adds its partition to the transaction (KIP-890)
//	v13 topics by id (KIP-516): UNKNOWN_TOPIC_ID
//
// acks 1 is answered after the append, acks -1 when the high watermark has passed the batch (REQUEST_TIMED_OUT after timeout_ms, NOT_LEADER_OR_FOLLOWER when leadership was lost), 0 never:
// an error then closes the connection, so that the client looks at its metadata again. Other acks are INVALID_REQUIRED_ACKS. A body that does not parse to its
// end closes the connection before anything is appended. The topics that the broker itself writes are INVALID_TOPIC_EXCEPTION, but for a client that calls itself "__admin_client".
//
// Not done: transactions. A transactional batch needs Write on its transactional id, else TRANSACTIONAL_ID_AUTHORIZATION_FAILED for everything; with it, INVALID_TXN_STATE, which is what Kafka answers where no
// transaction is under way, and none can be. A transactional id beside plain batches means nothing, as in Kafka.
//
// Differs from Apache Kafka: an error tells its words where Kafka mostly leaves the message null. A partition that is named twice gets both batches and two answers, where Kafka appends the
// last one and drops the other without a word. Null records are INVALID_RECORD, where Kafka closes the connection. A leadership lost after the append is told without the
// new leader (v10): the answer was laid out before. More than 100,000 partitions in one request close the connection.

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/batch"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

const (
	minProduce = 3
	zstdSince  = 7

	// maxProducePartitions bounds the answer, which is larger than the request where that names partitions without records.
	maxProducePartitions = 100_000

	acksAll  = -1
	acksNone = 0
)

// produceCall is one Produce request: scanned and answered in one pass, and, with acks -1, parked with its answer already laid out.
type produceCall struct {
	h   *Handlers
	row *row
	c   *server.Call
	img *image.Image

	scanner wire.ProduceScanner
	header  batch.Header
	info    log.AppendInfo
	refused []wire.RecordError
	leaders []wire.NodeEndpoint
	failed  error // the first error of any partition

	waits  []produceWait // one per Offset condition of waiter, in its order
	waiter purgatory.Waiter
}

// produceWait is a batch that was appended and is not acknowledged yet.
type produceWait struct {
	at                      int // its answer's place in the reply
	base, logStart          protocol.Offset
	logAppendTime           int64
	leadershipLostMeanwhile bool
}

func (h *Handlers) produce(row *row, c *server.Call) {
	p := take[produceCall](&produceCalls, c)
	p.h, p.row, p.c = h, row, c
	err := p.scanner.Reset(c.Version, c.Body)
	if err == nil && p.scanner.AllPartitions > maxProducePartitions {
		err = fmt.Errorf("produce request with %d partitions: no more than %d are taken", p.scanner.AllPartitions, maxProducePartitions)
	}
	if err != nil {
		c.Close(err)
		p.end()
		return
	}
	p.img, p.failed = h.Controller.Image(), nil
	p.leaders, p.waits = p.leaders[:0], p.waits[:0]
	p.run(p.checkTransactional())
	p.img = nil // an old image is not kept alive by an idle slot
	switch {
	case p.scanner.Acks == acksNone && p.failed != nil:
		c.Close(p.failed)
	case p.scanner.Acks == acksNone:
		c.NoReply()
	case len(p.waits) == 0:
		c.Done()
	default:
		c.Park(p)
		p.waiter.Ready(0)
		return // Finish ends it
	}
	p.end()
}

// end lets go of the frame and gives p back.
func (p *produceCall) end() {
	c := p.c
	if cap(p.waits) > keepPartitions {
		p.waits, p.waiter = nil, purgatory.Waiter{}
	}
	p.scanner, p.c = wire.ProduceScanner{}, nil
	giveBack(&produceCalls, c)
}

// checkTransactional is the error of the whole request if it holds a transactional batch that the caller may not write. What counts is the batches themselves, not what the
// request says about them (CVE-2018-17196).
func (p *produceCall) checkTransactional() error {
	for _, _, ok := p.scanner.NextTopic(); ok; _, _, ok = p.scanner.NextTopic() {
		for _, records, ok := p.scanner.NextPartition(); ok; _, records, ok = p.scanner.NextPartition() {
			if batch.ParseHeader(records, &p.header) != nil || !p.header.Attributes.Transactional() {
				continue
			}
			id := p.scanner.TransactionalID
			if id == nil || !p.allowed(protocol.ResourceTransactionalID, string(id)) {
				return kerr.TransactionalIDAuthorizationFailed
			}
		}
	}
	return nil
}

func (p *produceCall) allowed(on protocol.ResourceType, name string) bool {
	return p.h.allowed(&p.row.access, p.c.Conn.Principal(), protocol.OpWrite, protocol.Resource{Type: on, Name: name})
}

// run appends and writes the answer. whole, if not nil, is everybody's error.
func (p *produceCall) run(whole error) {
	w := wire.ProduceWriter{Version: p.c.Version}
	p.c.Reply.SetFlexible(wire.FlexibleResponse(p.c.Key, p.c.Version))
	p.scanner.Rewind()
	b := w.Begin(p.c.Reply.Buf(), p.scanner.Topics)
	for name, id, ok := p.scanner.NextTopic(); ok; name, id, ok = p.scanner.NextTopic() {
		topic, err := p.topic(name, id)
		if whole != nil {
			err = whole
		}
		b = w.Topic(b, name, id, p.scanner.Partitions())
		for index, records, ok := p.scanner.NextPartition(); ok; index, records, ok = p.scanner.NextPartition() {
			b = p.partition(w, b, topic, index, records, err)
		}
		b = w.EndTopic(b)
	}
	p.c.Reply.SetBuf(w.End(b, 0, p.leaders))
}

// topic resolves and authorises one topic. Who may not write is not told whether it exists; ids are no secret.
func (p *produceCall) topic(name []byte, id protocol.TopicID) (*image.Topic, error) {
	t, err := findTopic(p.img, p.c.Version >= 13, name, id)
	switch {
	case t != nil && !p.allowed(protocol.ResourceTopic, t.Name), t == nil && err == nil && !p.allowed(protocol.ResourceTopic, string(name)):
		return nil, kerr.TopicAuthorizationFailed
	case t == nil && err == nil:
		return nil, kerr.UnknownTopicOrPartition
	case t != nil && isInternal(t.Name) && p.c.ClientID != adminClient:
		return nil, kerr.InvalidTopicException
	}
	return t, err
}

// adminClient is the client id that lets through what repairs internal topics by hand, as in Kafka.
const adminClient = "__admin_client"

// findTopic looks a topic up by what the request names it by. Without a topic of the name there is neither topic nor error: whether that may be told is for the authorizer to say.
func findTopic(img *image.Image, byID bool, name []byte, id protocol.TopicID) (*image.Topic, error) {
	if !byID {
		return img.TopicNamed(name), nil
	}
	if t := img.TopicByID(id); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicID
}

// partition appends one batch, unless err says that nothing of this topic may be, and writes its answer.
func (p *produceCall) partition(w wire.ProduceWriter, b []byte, topic *image.Topic, index int32, records []byte, err error) []byte {
	r := wire.ProduceResult{Index: index, BaseOffset: protocol.NoOffset, LogAppendTime: protocol.NoTimestamp, LogStart: protocol.NoOffset}
	var part Partition
	var epoch protocol.LeaderEpoch
	p.info.RecordErrors = p.info.RecordErrors[:0]
	if err == nil {
		part, err = p.h.leader(topic, true, index)
	}
	if err == nil {
		err = p.check(records)
	}
	if err == nil {
		now := part.Offsets()
		epoch, p.info.LogStartOffset = now.Epoch, now.LogStart
		if err = part.Append(records, p.scanner.Acks, log.AppendOptions{Origin: log.Client, Settles: true}, &p.info); err != nil && tellsLogStart(err) {
			r.LogStart = p.info.LogStartOffset
		}
	}
	if err != nil {
		p.fail(&r, topic, err)
		b, _ = w.Partition(b, &r)
		return b
	}
	r.BaseOffset, r.LogAppendTime, r.LogStart = p.info.BaseOffset, p.info.LogAppendTime, p.info.LogStartOffset
	b, at := w.Partition(b, &r)
	if p.scanner.Acks == acksAll {
		p.await(part, epoch, produceWait{at: at, base: r.BaseOffset, logStart: r.LogStart, logAppendTime: r.LogAppendTime})
	}
	return b
}

// check is what is asked of a batch here. A header that does not parse is left to the log, which looks at the CRC first and so tells damage from nonsense.
func (p *produceCall) check(records []byte) error {
	parsed := batch.ParseHeader(records, &p.header) == nil
	switch acks := p.scanner.Acks; {
	case parsed && p.header.Attributes.Codec() == batch.Zstd && p.c.Version < zstdSince:
		return errZstd
	case acks < acksAll || acks > 1:
		return kerr.InvalidRequiredAcks
	case parsed && p.header.Attributes.Transactional():
		return kerr.InvalidTxnState
	}
	return nil
}

var errZstd = protocol.Errorf(kerr.UnsupportedCompressionType, "Produce requests before version %d are not allowed to use ZStandard compression", zstdSince)

// tellsLogStart picks out the refusals that carry the log start: in Kafka all but those that it foresees.
func tellsLogStart(err error) bool {
	switch protocol.ErrorCode(err) {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code, kerr.NotLeaderForPartition.Code, kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code,
		kerr.CorruptMessage.Code, kerr.KafkaStorageError.Code:
		return false
	}
	return true
}

// fail fills in an error.
func (p *produceCall) fail(r *wire.ProduceResult, topic *image.Topic, err error) {
	if p.failed == nil {
		p.failed = err
	}
	r.ErrorCode = protocol.ErrorCode(err)
	p.c.Reply.SetError(r.ErrorCode)
	if _, bare := err.(*kerr.Error); !bare {
		r.ErrorMessage = protocol.ErrorMessage(err)
	}
	if len(p.info.RecordErrors) > 0 {
		p.refused = p.refused[:0]
		for i := range p.info.RecordErrors {
			e := &p.info.RecordErrors[i]
			p.refused = append(p.refused, wire.RecordError{BatchIndex: e.Index, Message: &e.Message})
		}
		r.RecordErrors = p.refused
	}
	if errors.Is(err, kerr.NotLeaderForPartition) {
		r.CurrentLeader = p.h.currentLeader(p.img, topic, r.Index)
		p.leaders = p.h.endpoint(p.leaders, p.img, r.CurrentLeader.ID, p.c)
	}
}

// await registers one batch to wait for. epoch is the leader epoch before the append: had it changed until the registration, the offset waited for might be another record's.
func (p *produceCall) await(part Partition, epoch protocol.LeaderEpoch, w produceWait) {
	if len(p.waits) == 0 {
		p.h.Purgatory.Start(&p.waiter, p.c, p.c.Received.Add(time.Duration(max(p.scanner.TimeoutMs, 0))*time.Millisecond))
	}
	p.waiter.Offset(part.Waiters(), p.info.NextOffset)
	w.leadershipLostMeanwhile = part.Offsets().Epoch != epoch
	p.waits = append(p.waits, w)
}

// Finish corrects the answers of the batches that were not acknowledged. The others stand as they were written.
func (p *produceCall) Finish(c *server.Call) {
	p.waiter.Finish()
	w := wire.ProduceWriter{Version: c.Version}
	for i := range p.waits {
		wait := &p.waits[i]
		var err error
		switch outcome := p.waiter.Outcome(i); {
		case outcome == purgatory.Failed || wait.leadershipLostMeanwhile:
			err = kerr.NotLeaderForPartition
		case outcome != purgatory.Reached:
			err = kerr.RequestTimedOut
		default:
			continue
		}
		code := protocol.ErrorCode(err)
		c.Reply.SetError(code)
		w.Patch(c.Reply.Buf(), wait.at, code, wait.base, wait.logAppendTime, wait.logStart)
	}
	p.end()
}
