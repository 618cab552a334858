package runtime

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// partition is a log in a slice. Its high watermark goes where a test wants it, or follows the end at once.
type partition struct {
	mu      sync.Mutex
	batches [][]byte
	start   protocol.Offset
	high    protocol.Offset
	end     protocol.Offset
	epoch   protocol.LeaderEpoch // who may append
	follow  bool                 // the high watermark follows the end
	fail    error                // of the next appends
	held    chan struct{}        // reads wait for it, if it is not nil
	readers atomic.Int32
	most    *atomic.Int32 // readers at a time, of all partitions that share it
	waiters []waiter
}

// everything is past any log's end.
const everything protocol.Offset = math.MaxInt64

type waiter struct {
	at    protocol.Offset
	epoch protocol.LeaderEpoch
	wake  func()
}

// term is a partition in one leader epoch.
type term struct {
	*partition
	of protocol.LeaderEpoch
}

func (p term) over() error {
	if p.epoch != p.of {
		return kerr.NotLeaderForPartition
	}
	return nil
}

func (p term) Append(records []byte) (protocol.Offset, error) {
	p.mu.Lock()
	if err := errors.Join(p.over(), p.fail); err != nil {
		p.mu.Unlock()
		return 0, err
	}
	base := p.add(records, p.of)
	p.mu.Unlock()
	if p.follow {
		p.commit(everything)
	}
	return base, nil
}

// add is the append itself. The caller holds mu, or is alone.
func (p *partition) add(records []byte, epoch protocol.LeaderEpoch) protocol.Offset {
	b := append([]byte(nil), records...)
	batch.Place(b, p.end, epoch)
	var h batch.Header
	if err := batch.ParseHeader(b, &h); err != nil {
		panic(err)
	}
	if h.Size() != len(b) || !batch.CheckCRC(b) {
		panic("not one whole batch")
	}
	p.batches = append(p.batches, b)
	p.end = h.NextOffset()
	return h.BaseOffset
}

func (p term) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	p.readers.Add(1)
	defer p.readers.Add(-1)
	if p.most != nil {
		p.most.Add(1)
		defer p.most.Add(-1)
	}
	if p.held != nil {
		<-p.held
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.over(); err != nil {
		return nil, err
	}
	if from < p.start {
		return nil, kerr.OffsetOutOfRange
	}
	buf = buf[:0]
	for _, b := range p.batches {
		if nextOffset(b) <= from {
			continue
		}
		if len(buf) > 0 && len(buf)+len(b) > cap(buf) {
			break
		}
		buf = append(buf, b...)
	}
	return buf, nil
}

func (p term) Offsets() (log.Offsets, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return log.Offsets{LogStart: p.start, HighWatermark: p.high, LastStable: p.high, LogEnd: p.end}, p.over()
}

func (p term) Await(at protocol.Offset, wake func()) {
	p.mu.Lock()
	if p.high < at && p.over() == nil {
		p.waiters = append(p.waiters, waiter{at, p.of, wake})
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	wake()
}

// refuse makes appends fail, or with nil succeed again.
func (p *partition) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// commit moves the high watermark.
func (p *partition) commit(to protocol.Offset) {
	p.mu.Lock()
	p.high = max(p.high, min(to, p.end))
	p.wakeAnd()
}

// wakeAnd unlocks and wakes whoever has nothing more to wait for.
func (p *partition) wakeAnd() {
	var rest []waiter
	var wake []func()
	for _, w := range p.waiters {
		if w.at <= p.high || w.epoch != p.epoch {
			wake = append(wake, w.wake)
		} else {
			rest = append(rest, w)
		}
	}
	p.waiters = rest
	p.mu.Unlock()
	for _, f := range wake {
		f()
	}
}

func nextOffset(b []byte) protocol.Offset {
	var h batch.Header
	if err := batch.ParseHeader(b, &h); err != nil {
		panic(err)
	}
	return h.NextOffset()
}

// moves makes epoch the partition's: nobody appends in another one. What is above keep is cut off, as by a leader that did not have it.
func (p *partition) moves(epoch protocol.LeaderEpoch, keep protocol.Offset) {
	p.mu.Lock()
	p.epoch = epoch
	for n := len(p.batches); n > 0 && p.end > keep; n-- {
		var h batch.Header
		if err := batch.ParseHeader(p.batches[n-1], &h); err != nil {
			panic(err)
		}
		p.end, p.batches = h.BaseOffset, p.batches[:n-1]
	}
	p.wakeAnd()
}

// records is the log up to an offset.
func (p *partition) records(t testing.TB, to protocol.Offset) []Record {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Record
	for _, b := range p.batches {
		r, err := batch.NewReader(b, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var rec batch.Record
		for ok, err := r.Next(&rec); ok; ok, err = r.Next(&rec) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Offset < to {
				all = append(all, Record{rec.Key, rec.Value})
			}
		}
	}
	return all
}
