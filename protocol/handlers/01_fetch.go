package handlers

// Fetch (key 1), versions 4 to 18: reads batches from the partitions that this broker leads, as they lie on disk.
//
//	v4  isolation level, last stable offset, aborted transactions (KIP-98)
//	v5  log start offset (KIP-107)
//	v6  KAFKA_STORAGE_ERROR is known to the client (KIP-112)
//	v7  fetch sessions (KIP-227), an error for the whole answer
//	v8  throttling after the response (KIP-219)
//	v9  current leader epoch: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH (KIP-320)
//	v10 zstd (KIP-110)
//	v11 rack; preferred read replica (KIP-392), always -1: there is one replica to read from
//	v12 flexible (KIP-482); last fetched epoch, diverging epoch (KIP-595)
//	v13 topics by id (KIP-516)
//	v14 OFFSET_MOVED_TO_TIERED_STORAGE (KIP-405)
//	v15 the replica's state in a tag (KIP-903)
//	v16 the current leader and its address beside NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951)
//	v17 a follower's directory id (KIP-853)
//	v18 a follower's high watermark (KIP-1166)
//
// The answer holds at most max_bytes (and fetch.max.bytes) over all and partition_max_bytes of each partition, but always one if there is any to read. With fewer than
// min_bytes and no error it waits up to max_wait_ms; everything is read again before it leaves, so that a waiting fetch pins no file. That a partition is not there, or not the
// caller's to read, hastens nothing while there are others to wait for, as in Kafka: clients go on asking for a topic that was deleted until they hear of it, one request after the other.
// With read_committed it ends at the last stable offset and lists no aborted transactions, as there are no transactions yet.
//
// A node of the cluster also gets the log of the metadata (see metadata_log.go); to everybody else there is no such topic, as on Apache Kafka's brokers.
//
// Not done: replication. A replica id from 0 on is TOPIC_AUTHORIZATION_FAILED for every partition, which is what Kafka answers to a client that is no broker of its cluster; the node
// itself may use its own, and reads what a consumer reads.
// Differs from Apache Kafka: max_wait_ms beyond five minutes counts as five minutes, and a node that is short of memory does not let a fetch wait. Answers hold whole batches only, where Kafka cuts the last one off at the limit and clients drop the piece. An unknown isolation level is INVALID_REQUEST instead
// of UNKNOWN_SERVER_ERROR. zstd batches are sent to clients before v10, which cannot read them, where Kafka answers UNSUPPORTED_COMPRESSION_TYPE: batches are not looked at here.

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/purgatory"
	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/session"
	"ottla/protocol/wire"
)

// leadersSince is the first Fetch version whose answers tell the current leader.
const leadersSince = 16

// fetchCall is one Fetch request, read once or, if it waits, twice.
type fetchCall struct {
	h   *Handlers
	row *row
	c   *server.Call
	img *image.Image

	scanner   wire.FetchScanner
	session   session.Context
	resolver  imageResolver
	minBytes  int
	short     bool   // the call waits for more
	postponed []byte // the body of a request whose session was in use; empty if not
	maxBytes  int

	reads   []fetchRead
	out     log.ReadResult // here because a Partition is an interface: a local one would be allocated
	bytes   int            // of all reads
	found   bool           // there is a partition to wait for
	urgent  bool           // something besides records has to be told
	leaders []wire.NodeEndpoint
	waiter  purgatory.Waiter
}

// fetchRead is what was found for one partition.
type fetchRead struct {
	asked    *session.Partition
	part     Partition // nil with an error of before the read
	seen     int64     // bytes visible in part's list before the read
	result   wire.FetchResult
	from     log.Range
	included bool
}

func (h *Handlers) fetch(row *row, c *server.Call) {
	f := take[fetchCall](&fetchCalls, c)
	f.h, f.row, f.c = h, row, c
	err := f.scanner.Reset(c.Version, c.Body)
	if err == nil && f.scanner.AllPartitions > keepPartitions && !c.Hold(f.scanner.AllPartitions*fetchCost) {
		err = fmt.Errorf("no memory left for a fetch of %d partitions", f.scanner.AllPartitions)
	}
	if err != nil {
		c.Close(err)
		f.end()
		return
	}
	c.Reply.SetFlexible(wire.FlexibleResponse(c.Key, c.Version))
	if at, ok := f.wantsMetadata(); ok {
		f.fetchMetadata(at)
		f.end()
		return
	}
	switch err := f.begin(); {
	case errors.Is(err, session.ErrInUse) && c.Hold(len(c.Body)):
		f.postpone()
	case err != nil:
		f.refuseSession(err)
		c.Done()
		f.end()
	case f.short:
		f.wait()
	default:
		c.Done()
		f.end()
	}
}

// postpone keeps the request until it is its connection's oldest: the one that uses its session now has been answered then, if it came on the same connection.
func (f *fetchCall) postpone() {
	f.postponed = append(f.postponed[:0], f.c.Body...)
	f.c.Park(f)
	f.c.Wake()
}

// resume begins a postponed request. It waits no more: an answer that holds less than asked for is one that every client can take.
func (f *fetchCall) resume() {
	err := f.scanner.Reset(f.c.Version, f.postponed)
	if err == nil {
		f.scanner.MaxWaitMs = 0
		err = f.begin()
	}
	if err != nil {
		f.refuseSession(err)
	}
}

// begin checks the request, enters its session and reads; an error is the session's. It leaves an answer, unless the read is short: less than asked for was found, and nothing that must be told at once.
func (f *fetchCall) begin() error {
	f.img = f.h.Controller.Image()
	if err := f.check(); err != nil {
		f.refuse(err)
		return nil
	}
	f.resolver.img = f.img
	err := f.h.Sessions.Begin(&f.session, &f.scanner, &f.resolver, f.c.Received)
	f.resolver.img = nil
	if err != nil {
		return err
	}
	f.maxBytes = max(0, min(int(f.scanner.MaxBytes), f.h.limitsOf(f.img).fetchMaxBytes))
	f.minBytes = min(int(f.scanner.MinBytes), f.maxBytes)
	f.read()
	f.short = !f.urgent && f.bytes < f.minBytes && f.scanner.MaxWaitMs > 0 && f.found && f.holdReads()
	if !f.short {
		f.answer()
	}
	return nil
}

// fetchCost is about what one partition of a fetch takes in memory, in bytes: its read, its place in the session's request and in the purgatory.
const fetchCost = 384

// keepPostponed is how many bytes of a postponed request a pooled call keeps room for.
const keepPostponed = 4 << 10

// holdReads takes the memory that the reads keep while the call is parked. A node that has none to spare does not let a fetch wait.
func (f *fetchCall) holdReads() bool {
	n := len(f.reads)
	return n <= waitForFree || f.c.Hold(n*fetchCost)
}

// waitForFree is how many partitions a fetch may wait for without its memory being counted.
const waitForFree = 16

// maxWait is the longest poll: a parked call keeps its connection from being noticed as gone once its ring is full.
const maxWait = 5 * time.Minute

// check is what fails a request as a whole.
func (f *fetchCall) check() error {
	if !isReplica(f.c, f.scanner.ReplicaID) {
		return kerr.TopicAuthorizationFailed
	}
	return checkIsolation(f.scanner.Isolation)
}

// refuse answers every partition of the request with one error. No session is opened or moved on.
func (f *fetchCall) refuse(err error) {
	w := wire.FetchWriter{Version: f.c.Version}
	code := protocol.ErrorCode(err)
	f.c.Reply.SetError(code)
	b := w.Begin(f.c.Reply.Buf(), 0, 0, wire.NoSessionID, f.scanner.Topics)
	var p wire.FetchPartition
	for name, id, ok := f.scanner.NextTopic(); ok; name, id, ok = f.scanner.NextTopic() {
		b = w.Topic(b, string(name), id, f.scanner.Partitions())
		for f.scanner.NextPartition(&p) {
			r := wire.FailedFetch(p.Partition, code)
			b, _ = w.Partition(b, &r)
			b = w.EndPartition(b, &r)
		}
		b = w.EndTopic(b)
	}
	f.c.Reply.SetBuf(w.End(b, nil))
}

// refuseSession answers that the session is not what the client thinks: it starts over with a full request.
func (f *fetchCall) refuseSession(err error) {
	w := wire.FetchWriter{Version: f.c.Version}
	code := protocol.ErrorCode(err)
	f.c.Reply.SetError(code)
	f.c.Reply.SetBuf(w.End(w.Begin(f.c.Reply.Buf(), 0, code, wire.NoSessionID, 0), nil))
}

// imageResolver is the metadata as sessions see it.
type imageResolver struct{ img *image.Image }

func (r *imageResolver) Version() int64 { return int64(r.img.Offset()) }

func (r *imageResolver) TopicName(id protocol.TopicID) string {
	if t := r.img.TopicByID(id); t != nil {
		return t.Name
	}
	return ""
}

func (r *imageResolver) Topic(name []byte) (string, protocol.TopicID) {
	if t := r.img.TopicNamed(name); t != nil {
		return t.Name, t.ID
	}
	return "", protocol.TopicID{}
}

// read reads every partition in the session's order, each within what the ones before it have left of the answer's bytes.
func (f *fetchCall) read() {
	f.reads, f.leaders = f.reads[:0], f.leaders[:0]
	f.bytes, f.found, f.urgent = 0, false, false
	name, allowed := "", false
	f.session.Each(func(p *session.Partition) {
		if p.Topic != name {
			name, allowed = p.Topic, p.Topic != "" && f.allowed(p.Topic)
		}
		f.reads = append(f.reads, fetchRead{asked: p})
		r := &f.reads[len(f.reads)-1]
		topic, err := f.resolve(p, allowed)
		if err == nil {
			r.part, err = f.h.leader(topic, true, p.Index)
		}
		if err == nil {
			f.found = true
			err = f.readOne(r)
		}
		if err != nil {
			f.fail(r, topic, err)
		}
	})
}

func (f *fetchCall) allowed(topic string) bool {
	return f.h.allowed(&f.row.access, f.c.Conn.Principal(), protocol.OpRead, protocol.Resource{Type: protocol.ResourceTopic, Name: topic})
}

// resolve finds the topic for a caller who may, or may not, know that it exists. An id that never was a topic's is no secret.
func (f *fetchCall) resolve(p *session.Partition, allowed bool) (*image.Topic, error) {
	switch {
	case p.Topic != "" && !allowed:
		return nil, kerr.TopicAuthorizationFailed
	case p.Err != nil:
		return nil, p.Err
	}
	return f.img.TopicByID(p.ID), nil
}

// readOne reads one partition. Its range, if any, is pinned until the reply has been sent or the range is released here.
func (f *fetchCall) readOne(r *fetchRead) error {
	r.seen = r.part.Waiters().Visible()
	p := r.asked
	f.out = log.ReadResult{}
	err := r.part.Read(log.ReadOptions{
		From: p.FetchOffset, MaxBytes: max(0, min(int(p.MaxBytes), f.maxBytes-f.bytes)), AtLeastOne: f.bytes == 0,
		Isolation: f.scanner.Isolation, CurrentEpoch: p.CurrentLeaderEpoch, LastFetchedEpoch: p.LastFetchedEpoch,
	}, &f.out)
	if err != nil {
		return err
	}
	out := &f.out
	r.from = out.Range
	f.bytes += out.Range.Size
	r.result = wire.FetchResult{
		Partition: p.Index, HighWatermark: out.Offsets.HighWatermark, LastStable: out.Offsets.LastStable, LogStart: out.Offsets.LogStart,
		PreferredReadReplica: protocol.NoBroker, RecordsSize: out.Range.Size,
	}
	if f.scanner.Isolation == readCommitted {
		r.result.Aborted = noAborted
	}
	if d := out.Diverging; d.Found {
		f.urgent = true
		r.result.DivergingEpoch = wire.EpochEnd{Epoch: d.Epoch, EndOffset: d.EndOffset, Told: true}
	}
	return nil
}

var noAborted = []wire.AbortedTransaction{}

func (f *fetchCall) fail(r *fetchRead, topic *image.Topic, err error) {
	code := protocol.ErrorCode(err)
	f.c.Reply.SetError(code)
	r.result = wire.FailedFetch(r.asked.Index, code)
	switch code {
	case kerr.TopicAuthorizationFailed.Code, kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code:
		f.urgent = f.urgent || r.part != nil
	default:
		f.urgent = true
		r.result.Aborted = nil // as Kafka's: empty where the partition was not found, null where it could not be read
	}
	if f.c.Version >= leadersSince && (errors.Is(err, kerr.NotLeaderForPartition) || errors.Is(err, kerr.FencedLeaderEpoch)) {
		r.result.CurrentLeader = f.h.currentLeader(f.img, topic, r.asked.Index)
		f.leaders = f.h.endpoint(f.leaders, f.img, r.result.CurrentLeader.ID, f.c)
	}
}

// wait parks the call until enough bytes became visible, counted from before each read, so that none in between is missed.
func (f *fetchCall) wait() {
	f.release()
	f.img = nil
	f.c.Park(f)
	f.h.Purgatory.Start(&f.waiter, f.c, f.c.Received.Add(min(time.Duration(f.scanner.MaxWaitMs)*time.Millisecond, maxWait)))
	for i := range f.reads {
		if part := f.reads[i].part; part != nil {
			f.waiter.Bytes(part.Waiters(), f.reads[i].seen)
		}
	}
	f.waiter.Ready(int64(f.minBytes - f.bytes))
}

// release lets the files go that were found and are not sent.
func (f *fetchCall) release() {
	for i := range f.reads {
		if s := f.reads[i].from.Source; s != nil {
			s.Release()
		}
		f.reads[i].from = log.Range{}
	}
}

// Finish reads again and answers, whatever woke it: records, a failure that the read will find, or the deadline. A postponed request is read now.
func (f *fetchCall) Finish(c *server.Call) {
	f.waiter.Finish()
	switch {
	case len(f.postponed) > 0 && c.Alive():
		f.resume()
	case len(f.postponed) > 0:
	case c.Alive():
		f.img = f.h.Controller.Image()
		f.read()
		f.answer()
	default:
		f.session.End()
	}
	f.end()
}

// end lets go of what a pooled call should not keep alive, and gives f back.
func (f *fetchCall) end() {
	c := f.c
	clear(f.reads)
	if cap(f.reads) > keepPartitions {
		f.reads, f.waiter = nil, purgatory.Waiter{}
	}
	if f.postponed = f.postponed[:0]; cap(f.postponed) > keepPostponed {
		f.postponed = nil
	}
	f.img, f.scanner, f.c, f.short = nil, wire.FetchScanner{}, nil, false
	giveBack(&fetchCalls, c)
}

// answer writes the reply. Records are not copied: the reply takes over the pinned ranges.
func (f *fetchCall) answer() {
	w := wire.FetchWriter{Version: f.c.Version}
	b := w.Begin(f.c.Reply.Buf(), 0, 0, f.session.SessionID(), f.include())
	for i := 0; i < len(f.reads); {
		first := &f.reads[i]
		if !first.included {
			i++
			continue
		}
		end, count := f.run(i)
		b = w.Topic(b, first.asked.Topic, first.asked.ID, count)
		for ; i < end; i++ {
			if f.reads[i].included {
				b = f.partition(w, b, &f.reads[i])
			}
		}
		b = w.EndTopic(b)
	}
	f.c.Reply.SetBuf(w.End(b, f.leaders))
	f.session.End()
}

func (f *fetchCall) partition(w wire.FetchWriter, b []byte, r *fetchRead) []byte {
	b, _ = w.Partition(b, &r.result)
	if r.from.Source != nil {
		f.c.Reply.SetBuf(b)
		f.c.Reply.Range(r.from.Source, r.from.Position, r.from.Size)
	}
	return w.EndPartition(b, &r.result)
}

// include decides what an incremental answer holds, and counts its topics: runs of partitions of the same topic, as in Kafka.
func (f *fetchCall) include() (topics int) {
	var last *session.Partition
	for i := range f.reads {
		r := &f.reads[i]
		if r.included = f.session.Include(r.asked, &r.result); !r.included {
			continue
		}
		if last == nil || !sameTopic(last, r.asked) {
			topics++
		}
		last = r.asked
	}
	return topics
}

// run is where the topic of read i ends, and how many of its partitions the answer has until there.
func (f *fetchCall) run(i int) (end, count int) {
	first := f.reads[i].asked
	for end = i; end < len(f.reads); end++ {
		switch r := &f.reads[end]; {
		case !r.included:
		case !sameTopic(first, r.asked):
			return end, count
		default:
			count++
		}
	}
	return end, count
}

func sameTopic(a, b *session.Partition) bool { return a.ID == b.ID && a.Topic == b.Topic }
