package controller

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// prefetchAt is how many ids of a block are left when the next one is asked for.
const prefetchAt = 100

// ProducerIDs hands out producer ids that no other broker has, and none twice: it gets them from the quorum in blocks (KIP-730), ahead of need.
// Ids of a block that a crash interrupts are lost.
type ProducerIDs struct {
	controller *Controller
	broker     protocol.BrokerID

	mu       sync.Mutex
	now      idBlock // ids are taken from here
	ahead    idBlock // used when now is empty
	fetching bool
	waiting  []func(protocol.ProducerID, error)
}

// idBlock is the ids from next on.
type idBlock struct {
	next  protocol.ProducerID
	count int32
}

// NewProducerIDs gets its blocks from c in the name of the given broker, which must be registered by the time of the first Next.
func NewProducerIDs(c *Controller, broker protocol.BrokerID) *ProducerIDs {
	return &ProducerIDs{controller: c, broker: broker}
}

// Next calls done with an id: at once if a block is at hand, else when the quorum has given one. It never blocks. done must not block either; it may run on
// the controller's goroutine. Errors: those of Submit and of AllocateProducerIds.
func (p *ProducerIDs) Next(done func(protocol.ProducerID, error)) {
	p.mu.Lock()
	id, ok := p.take()
	if !ok {
		p.waiting = append(p.waiting, done)
	}
	fetch := p.wantsBlock()
	p.mu.Unlock()
	if fetch {
		p.fetch()
	}
	if ok {
		done(id, nil)
	}
}

// take is the next id at hand. The caller holds mu.
func (p *ProducerIDs) take() (protocol.ProducerID, bool) {
	if p.now.count == 0 {
		p.now, p.ahead = p.ahead, idBlock{}
	}
	if p.now.count == 0 {
		return protocol.NoProducerID, false
	}
	id := p.now.next
	p.now.next++
	p.now.count--
	return id, true
}

// wantsBlock tells whether to ask for a block now, and notes that it is asked for. The caller holds mu.
func (p *ProducerIDs) wantsBlock() bool {
	if p.fetching || p.ahead.count > 0 || p.now.count > prefetchAt {
		return false
	}
	p.fetching = true
	return true
}

func (p *ProducerIDs) fetch() {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = int32(p.broker), -1
	if b := p.controller.Image().Broker(p.broker); b != nil {
		req.BrokerEpoch = int64(b.Epoch)
	}
	p.controller.Submit(protocol.Anonymous, req, func(resp kmsg.Response, err error) {
		block, err := blockOf(resp, err)
		p.fetched(block, err)
	})
}

func blockOf(resp kmsg.Response, err error) (idBlock, error) {
	if err != nil {
		return idBlock{}, err
	}
	r := resp.(*kmsg.AllocateProducerIDsResponse)
	if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
		return idBlock{}, err
	}
	return idBlock{protocol.ProducerID(r.ProducerIDStart), r.ProducerIDLen}, nil
}

// fetched serves those who wait, or tells them that there is nothing; the next Next asks again.
func (p *ProducerIDs) fetched(block idBlock, err error) {
	type served struct {
		done func(protocol.ProducerID, error)
		id   protocol.ProducerID
		err  error
	}
	p.mu.Lock()
	p.fetching = false
	p.ahead = block
	out := make([]served, 0, len(p.waiting))
	for len(p.waiting) > 0 {
		id, ok := p.take()
		if !ok && err == nil {
			break // more of them than a block has ids
		}
		out = append(out, served{p.waiting[0], id, err})
		p.waiting = p.waiting[1:]
	}
	again := len(p.waiting) > 0 && p.wantsBlock()
	p.mu.Unlock()
	if again {
		p.fetch()
	}
	for _, s := range out {
		s.done(s.id, s.err)
	}
}
