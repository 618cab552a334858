//go:build faults

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
	"ottla/protocol"
)

// idempotent is a producer that a case drives batch by batch.
type idempotent struct {
	node     *node
	topic    string
	producer int64
	epoch    int16
	next     int32 // sequence
	last     []byte
	lastAt   int64
}

func (n *node) idempotent(topic string) *idempotent {
	n.rig.Helper()
	c, err := dialRaw(n.kafka)
	n.rig.must(err, "dial")
	defer c.close()
	req, resp := kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrInitProducerIDResponse()
	req.Version, req.ProducerID, req.ProducerEpoch = 3, -1, -1
	n.rig.must(c.call(req, resp), "init producer id")
	n.rig.must(kerr.ErrorForCode(resp.ErrorCode), "init producer id")
	return &idempotent{node: n, topic: topic, producer: resp.ProducerID, epoch: resp.ProducerEpoch}
}

// put appends the next batch, of one record.
func (i *idempotent) put() error {
	b := batch.NewBuilder()
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = protocol.ProducerID(i.producer), protocol.ProducerEpoch(i.epoch), protocol.Sequence(i.next)
	b.Add(time.Now().UnixMilli(), nil, fmt.Append(nil, i.next))
	i.last = b.Build(nil)
	at, err := i.node.produce(i.topic, 0, i.last)
	if err == nil {
		i.lastAt = at
		i.next++
	}
	return err
}

// repeat sends the last batch again: it must be known, and answered with where it is.
func (i *idempotent) repeat() error {
	before, err := i.node.end(i.topic, 0)
	if err != nil {
		return err
	}
	at, err := i.node.produce(i.topic, 0, i.last)
	if err == nil && at != i.lastAt {
		err = fmt.Errorf("a repeated batch was answered with offset %d; it is at %d", at, i.lastAt)
	}
	after, endErr := i.node.end(i.topic, 0)
	if err == nil && endErr == nil && after != before {
		err = fmt.Errorf("a repeated batch was appended: the log ends at %d, not %d", after, before)
	}
	return errors.Join(err, endErr)
}

// damagedSnapshots sends the last batch of idempotent producers again after each way to damage what remembers them: none may be appended twice, and all may go on.
func damagedSnapshots(r *rig) {
	n := r.started(filepath.Join(r.dir, "data"))
	n.topic("known", 1, "segment.bytes", "1048576")
	producers := make([]*idempotent, 5)
	for i := range producers {
		producers[i] = n.idempotent("known")
		for range 7 {
			r.must(producers[i].put(), "produce")
		}
	}
	n.stop()
	small := func() []string {
		return append(n.rig.files(n.data, "known-0", "*.snapshot"), n.rig.files(n.data, "known-0", "leader-epoch-checkpoint")...)
	}
	older := r.copies(small())
	n.mustStart()
	asOlder := mangling{"older", func(r *rig, file string) error {
		r.putBack(older)
		if _, same := older[file]; same {
			return nil
		}
		return os.Remove(file)
	}}
	ways := append(slices.Clone(manglings), asOlder)
	for _, m := range ways {
		for _, crash := range []bool{false, true} {
			n.down(crash)
			for _, f := range small() {
				r.must(m.do(r, f), "%s", m.name)
				r.outcome.Faults++
			}
			n.mustStart()
			for i, p := range producers {
				if err := errors.Join(p.repeat(), p.put(), p.repeat()); err != nil {
					r.Errorf("%s (crash %v): producer %d: %v", m.name, crash, i, err)
				}
			}
		}
	}
	r.outcome.Counts.Acked = len(producers) * (7 + 2*len(ways))
	n.stop()
	n.verify()
}
