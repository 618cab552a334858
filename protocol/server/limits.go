package server

import (
	"errors"
	"net"
	"net/netip"
)

// connections counts the open connections, all and per address. The server's lock guards it.
type connections struct {
	max, maxPerIP int // for clients
	maxPeers      int // slots of nodes, those that have yet to prove it among them
	open          map[*Conn]struct{}
	perIP         map[netip.Addr]int // clients
	clients       int
	peers         int
	proving       []*Conn // oldest first
}

var (
	errTooManyConnections      = errors.New("too many connections")
	errTooManyConnectionsPerIP = errors.New("too many connections from one address")
)

// add gives c a slot. evicted, unless nil, has lost its own and is to be closed.
func (cs *connections) add(c *Conn) (evicted *Conn, err error) {
	if cs.open == nil {
		cs.open, cs.perIP = map[*Conn]struct{}{}, map[netip.Addr]int{}
	}
	switch {
	case cs.clients >= cs.max:
		evicted, err = cs.prove(c, errTooManyConnections)
	case cs.perIP[c.ip] >= cs.maxPerIP:
		evicted, err = cs.prove(c, errTooManyConnectionsPerIP)
	default:
		cs.clients++
		cs.perIP[c.ip]++
	}
	if err == nil {
		cs.open[c] = struct{}{}
	}
	return evicted, err
}

func (cs *connections) remove(c *Conn) {
	delete(cs.open, c)
	cs.vacate(c)
}

func (cs *connections) all() []*Conn {
	all := make([]*Conn, 0, len(cs.open))
	for c := range cs.open {
		all = append(all, c)
	}
	return all
}

// ipOf is the address without its port; addresses that are not of IP count as one.
func ipOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
