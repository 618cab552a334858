package raftlog

import (
	"errors"
	"math/rand/v2"
	"testing"

	"ottla/log/vfs"
)

// TestStateSurvivesPowerCuts writes states, synced and lazy, and cuts the power after each: what was synced last is never lost, and what is found is something
// that was written, not older than that.
func TestStateSurvivesPowerCuts(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		fs := vfs.NewMem()
		if err := createState(fs, "/", identity{raftID: 9, clusterID: "c"}, hardState{term: 1, commit: 1}); err != nil {
			t.Fatal(err)
		}
		s, _, hs, err := openState(fs, "/")
		if err != nil {
			t.Fatal(err)
		}
		written, synced := []hardState{hs}, 0
		for step := range 40 {
			hs.commit++
			if rng.IntN(3) == 0 {
				hs.term++
				hs.vote = rng.Uint64()
				err = s.writeSync(hs)
				synced = len(written)
			} else {
				err = s.writeLazy(hs)
			}
			if err != nil {
				t.Fatal(err)
			}
			written = append(written, hs)
			crashed := fs.CrashClone(rng, rng.Float64())
			again, id, got, err := openState(crashed, "/")
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			if id != (identity{9, "c"}) {
				t.Fatalf("seed %d, step %d: identity %+v", seed, step, id)
			}
			if !oneOf(got, written[synced:]) {
				t.Fatalf("seed %d, step %d: found %+v, synced was %+v, last %+v", seed, step, got, written[synced], hs)
			}
			if rng.IntN(4) == 0 { // go on from the crash
				fs, s, hs, written, synced = crashed, again, got, []hardState{got}, 0
			}
		}
	}
}

func oneOf(hs hardState, among []hardState) bool {
	for _, w := range among {
		if w == hs {
			return true
		}
	}
	return false
}

func TestStateDamage(t *testing.T) {
	damage := map[string]func(b []byte) []byte{
		"magic":      func(b []byte) []byte { b[0]++; return b },
		"identity":   func(b []byte) []byte { b[21]++; return b },
		"id length":  func(b []byte) []byte { b[18] = 0xff; return b },
		"both slots": func(b []byte) []byte { b[statePage+9]++; return b },
		"cut off":    func(b []byte) []byte { return b[:statePage] },
		"empty":      func([]byte) []byte { return nil },
	}
	for name, change := range damage {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := createState(fs, "/", identity{raftID: 9, clusterID: "c"}, hardState{term: 1}); err != nil {
				t.Fatal(err)
			}
			b := change(readAll(t, fs, "/"+stateName))
			f, err := fs.Open("/" + stateName)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := openState(fs, "/"); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
}
