//go:build hostile

package hostile

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
)

// attack is one way to be a nuisance. run has a fresh connection and does harm until that ends, or it has done enough; then it is called again.
type attack struct {
	name  string
	share int // of a thousand connections
	run   func(a *assailant)
}

// Floods are paced: a siege asks whether limits hold, and no limit makes a processor faster.
var attacks = []attack{
	{"loris in the length", 110, loris(0, 2)},
	{"loris in the header", 110, loris(6, 1)},
	{"loris in the body", 110, loris(5000, 1)},
	{"1 MiB announced", 120, announce(1<<20 - 1)},
	{"100 MiB announced", 120, announce(100 << 20)},
	{"half-open", 150, func(a *assailant) { a.untilClosed() }},
	{"never reads", 80, neverReads},
	{"garbage", 60, garbage},
	{"joins and goes", 50, joinsAndGoes},
	{"producer ids", 40, repeats(time.Second, func(*assailant) kmsg.Request { return producerID() })},
	{"fetch sessions", 30, func(a *assailant) { a.send(fetching("bait")); a.answer(); a.pause(time.Second) }},
	{"bombs", 4, repeats(8*time.Second, func(*assailant) kmsg.Request { return producing(9, 1, "bait", theBomb) })},
	{"times in bombs", 4, repeats(8*time.Second, func(*assailant) kmsg.Request { return timeLookup() })},
	{"ApiVersions", 6, repeats(10*time.Millisecond, func(*assailant) kmsg.Request { return kmsg.NewPtrApiVersionsRequest() })},
	{"Metadata", 6, repeats(10*time.Millisecond, func(*assailant) kmsg.Request { return metadata() })},
}

// theBomb is 64 MiB in one piece, of a time that is yet to come.
var theBomb = func() []byte {
	b := packed(batch.Zstd, zstdRun(512, true)...)
	for _, at := range []int{baseTimestampAt, maxTimestampAt} {
		be.PutUint64(b[at:], uint64(time.Now().Add(30*time.Minute).UnixMilli()))
	}
	return sealed(b)
}()

func producerID() kmsg.Request {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.ProducerID, req.ProducerEpoch = 3, -1, -1
	return req
}

func metadata() kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 8
	return req
}

func timeLookup() kmsg.Request {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 4, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = time.Now().Add(10 * time.Minute).UnixMilli()
	tp := kmsg.NewListOffsetsRequestTopic()
	tp.Topic, tp.Partitions = "bait", append(tp.Partitions, p)
	req.Topics = append(req.Topics, tp)
	return req
}

// attackAt is the attack of a place in a thousand.
func attackAt(place int) *attack {
	for k := range attacks {
		if place -= attacks[k].share; place < 0 {
			return &attacks[k]
		}
	}
	panic("the shares are not a thousand")
}

// assailant is one of the connections of a siege, dialed again whenever it ends.
type assailant struct {
	net.Conn
	ctx   context.Context
	r     *rand.Rand
	tally *tally
	ended bool
}

const pauseToDial = time.Second

// besiege keeps one connection attacking until ctx ends.
func besiege(ctx context.Context, address, from string, how *attack, seed uint64, t *tally) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	a := assailant{ctx: ctx, tally: t, r: rand.New(rand.NewPCG(seed, 1))}
	a.pause(time.Duration(a.r.Int64N(int64(5 * time.Second)))) // not all at once
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			t.Refused.Add(1)
			a.pause(pauseToDial)
			continue
		}
		t.Dialed.Add(1)
		a.Conn, a.ended = c, false
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		how.run(&a)
		stop()
		_ = c.Close()
		a.pause(time.Duration(a.r.Int64N(int64(pauseToDial))))
	}
}

// pause waits, or until the siege is over.
func (a *assailant) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.ctx.Done():
	}
}

func (a *assailant) write(b []byte) {
	if !a.ended {
		n, err := a.Write(b)
		a.tally.Sent.Add(int64(n))
		a.ended = err != nil
	}
}

func (a *assailant) send(req kmsg.Request) {
	a.write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	a.tally.Requests.Add(1)
}

// answer reads one answer and forgets it.
func (a *assailant) answer() {
	if a.ended {
		return
	}
	var size [4]byte
	_, err := io.ReadFull(a, size[:])
	if err == nil {
		var n int64
		n, err = io.CopyN(io.Discard, a, int64(binary.BigEndian.Uint32(size[:])))
		a.tally.Received.Add(n)
		a.tally.Answers.Add(1)
	}
	a.ended = err != nil
}

// untilClosed waits for the node to lose its patience.
func (a *assailant) untilClosed() {
	n, _ := io.Copy(io.Discard, a)
	a.tally.Received.Add(n)
}

// loris sends the beginning of a Produce and then so many bytes every ten seconds.
func loris(at, step int) func(*assailant) {
	return func(a *assailant) {
		b := kmsg.NewRequestFormatter().AppendRequest(nil, producing(9, 1, "bait", make([]byte, 100<<10)), 1)
		go a.untilClosed()
		a.write(b[:at])
		for next := at; !a.ended && a.ctx.Err() == nil; next += step {
			a.pause(10 * time.Second)
			a.write(b[next : next+step])
		}
	}
}

// announce begins a frame of that size, and sends no more than the beginning.
func announce(size uint32) func(*assailant) {
	return func(a *assailant) {
		b := append(binary.BigEndian.AppendUint32(nil, size), 0, 0, 0, 9, 0, 0, 0, 1)
		a.write(append(b, make([]byte, 8<<10)...))
		a.untilClosed()
	}
}

// repeats asks again and again.
func repeats(every time.Duration, next func(*assailant) kmsg.Request) func(*assailant) {
	return func(a *assailant) {
		for !a.ended && a.ctx.Err() == nil {
			a.send(next(a))
			a.answer()
			a.pause(every)
		}
	}
}

// neverReads asks for a gigabyte in parts, and takes none of them.
func neverReads(a *assailant) {
	req := fetching("bait")
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 50<<20, 50<<20
	for range 20 {
		a.send(req)
	}
	for !a.ended && a.ctx.Err() == nil { // until the node gives up: then writing fails
		a.pause(5 * time.Second)
		a.write([]byte{0})
	}
}

func garbage(a *assailant) {
	b := make([]byte, 1+a.r.IntN(4096))
	for i := range b {
		b[i] = byte(a.r.Uint32())
	}
	if a.r.IntN(2) == 0 { // as much of a frame as to be looked at
		b = append([]byte{0, 0, byte((len(b) + 4) >> 8), byte(len(b) + 4), 0, byte(a.r.IntN(80)), 0, byte(a.r.IntN(12))}, b...)
	}
	a.write(b)
	_ = a.Conn.(*net.TCPConn).CloseWrite()
	a.untilClosed()
}

// joinsAndGoes joins one of many groups, and hangs up before it is answered.
func joinsAndGoes(a *assailant) {
	a.send(joining(3, fmt.Sprint("siege-", a.r.IntN(500)), ""))
	a.pause(time.Second)
}
