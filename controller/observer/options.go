package observer

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/client"
)

// Options of an observer. Connection and Members are needed.
type Options struct {
	// Connection is how members are dialed; its client id and its limit of a reply are the observer's own.
	Connection client.Options
	// Members is where nodes listen that have a part in the quorum: those of img, which may be empty, and those that this node was told of. It is called on Run's goroutine before
	// every dial.
	Members func(img *image.Image) []client.Target
	// Forward has the leader decide a request, and calls done once, when this node's image has what was decided. It must not block. Nil: every request is refused.
	Forward func(p protocol.Principal, req kmsg.Request, done func(kmsg.Response, error))
	// Published is told how far Image has come, after it has: for those who wait for it (raftnet.Forwarder.Published). It must not block. May be nil.
	Published func(at protocol.Offset)
	Logger    *slog.Logger

	// Wait is how long a member may keep a fetch that finds nothing, Patience how much longer an answer may take before another member is asked. Zero: 2 s and 5 s.
	Wait, Patience time.Duration
	// MaxEntries is how many bytes of entries are fetched at once, but always one entry; MaxChunk how many of a snapshot, and MaxSnapshot how large one may be. Zero: 1 MiB, 1 MiB
	// and 256 MiB.
	MaxEntries, MaxChunk int32
	MaxSnapshot          int64
}

func (o *Options) setDefaults() {
	setDefault(&o.Wait, 2*time.Second)
	setDefault(&o.Patience, 5*time.Second)
	setDefault(&o.MaxEntries, 1<<20)
	setDefault(&o.MaxChunk, 1<<20)
	setDefault(&o.MaxSnapshot, 256<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Published == nil {
		o.Published = func(protocol.Offset) {}
	}
	o.Connection.ClientID = "ottla-observer"
	o.Connection.MaxReply = record.MaxSize + 1<<20 // the largest entry, and what stands around it
}

func setDefault[T int32 | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
