package client

import (
	"context"
	"net"
	"time"

	"ottla/protocol"
	"ottla/protocol/peer"
)

// DialFunc has the shape of net.Dialer.DialContext.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Target is a node and where it is. The node that answers must be that one: addresses are given to others, and folders copied. NoBroker takes whoever answers.
type Target struct {
	Node    protocol.BrokerID
	Address string
}

// Options of a connection. Dial, Secret and Self are needed; zero values of the rest mean the defaults below.
type Options struct {
	Dial   DialFunc
	Secret peer.Secret
	// Self is what this node tells of itself, as it is at the moment of a Hello.
	Self     func() peer.Identity
	ClientID string

	// MaxQueued bounds the bytes that wait to be written, MaxInFlight the calls whose replies have not come, MaxReply the bytes of one reply.
	MaxQueued   int64
	MaxInFlight int
	MaxReply    int
	// HelloTimeout bounds the dial and Hello together. WriteTimeout is how long the peer may take no byte, FrameTimeout how long a reply that has begun may take; plus a second per 64 KiB both.
	HelloTimeout, WriteTimeout, FrameTimeout time.Duration
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxQueued, 8<<20)
	setDefault(&o.MaxInFlight, 1024)
	setDefault(&o.MaxReply, 16<<20)
	setDefault(&o.HelloTimeout, 5*time.Second)
	setDefault(&o.WriteTimeout, 10*time.Second)
	setDefault(&o.FrameTimeout, 10*time.Second)
	if o.ClientID == "" {
		o.ClientID = "ottla"
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
