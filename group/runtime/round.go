package runtime

import (
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

// round gathers the answers of all shards to one ReadAll. Each shard answers once.
type round struct {
	done func(error)

	mu   sync.Mutex
	left int
	err  error
}

func newRound(shards int, done func(error)) *round {
	r := &round{done: done, left: shards}
	if shards == 0 {
		done(nil)
	}
	return r
}

// fail keeps the first error that tells of a shard which this broker leads.
func (r *round) fail(err error) {
	r.answer(func() {
		if r.err == nil && !errors.Is(err, kerr.NotCoordinator) {
			r.err = err
		}
	})
}

// answer counts one shard off; note runs while no other does.
func (r *round) answer(note func()) {
	r.mu.Lock()
	note()
	r.left--
	left, err := r.left, r.err
	r.mu.Unlock()
	if left == 0 {
		r.done(err)
	}
}
