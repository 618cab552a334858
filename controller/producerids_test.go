package controller

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/vfs"
	"ottla/protocol"
)

// TestProducerIDsAreUnique takes ids over several blocks, before and after a restart.
func TestProducerIDsAreUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		var mu sync.Mutex // answers come from the driver, or at once
		seen := map[protocol.ProducerID]bool{}
		for range 2 {
			n := start(t, fs, Options{})
			n.register(t)
			ids := NewProducerIDs(n.Controller, 1)
			for range 3500 { // all at once, so that they wait for several blocks
				ids.Next(func(id protocol.ProducerID, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err != nil || seen[id] || id < 0 {
						t.Errorf("id %d, %v", id, err)
					}
					seen[id] = true
				})
			}
			synctest.Wait()
			n.stop(t)
		}
		if len(seen) != 7000 {
			t.Errorf("%d ids", len(seen))
		}
	})
}

// TestProducerIDsAheadOfNeed: but for the first one, ids are there when they are asked for.
func TestProducerIDsAheadOfNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{})
		n.register(t)
		ids := NewProducerIDs(n.Controller, 1)
		for i := range 5000 {
			var answered atomic.Bool // the first answer comes from the driver
			ids.Next(func(protocol.ProducerID, error) { answered.Store(true) })
			if !answered.Load() && i > 0 {
				t.Fatalf("id %d was not at hand", i)
			}
			synctest.Wait()
		}
		n.stop(t)
	})
}

func TestProducerIDsOfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), Options{})
		ids := NewProducerIDs(n.Controller, 1)
		var got []error
		for range 2 {
			ids.Next(func(_ protocol.ProducerID, err error) { got = append(got, err) })
			synctest.Wait()
		}
		if len(got) != 2 || !errors.Is(got[0], kerr.BrokerIDNotRegistered) || !errors.Is(got[1], kerr.BrokerIDNotRegistered) {
			t.Errorf("%v", got)
		}
		n.stop(t)
	})
}
