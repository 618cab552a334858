package batch

import (
	"runtime"
	"weak"
)

// smallWhole is the inflated bytes that anybody may have in one piece.
const smallWhole = 1 << 20

// Hundreds of connections may bring bombs at the same moment. Who inflates waits for nobody but the processor, so it costs nothing to have others wait for memory meanwhile.
// Whoever has a stream may wait for the turn; never the other way round.
var (
	// turns lets one batch at a time be inflated in one piece beyond smallWhole.
	turns = make(chan struct{}, 1)
	// streams lets as many batches as there are processors have a window, or a block, beyond smallWhole.
	streams = make(chan struct{}, runtime.GOMAXPROCS(0))
)

// lastWhole is the buffer of the last turn, for whoever has the next one, unless the garbage collector wants it: a row of bombs would else have it run for each.
var lastWhole weak.Pointer[[]byte]

// takeWhole is an empty buffer. Only for whoever has the turn.
func takeWhole() *[]byte {
	if b := lastWhole.Value(); b != nil {
		return b
	}
	return new([]byte)
}

// putWhole gives it back, before the turn ends.
func putWhole(b *[]byte) {
	*b = (*b)[:0]
	lastWhole = weak.Make(b)
}

func takeTurn() { turns <- struct{}{} }
func endTurn()  { <-turns }

func takeStream() { streams <- struct{}{} }
func endStream()  { <-streams }
