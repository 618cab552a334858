package server

import (
	"errors"
	"net"
	"net/netip"
)

// connections counts the open connections, all and per address. The server's lock guards it.
type connections struct {
	max, maxPerIP int
	open          map[*Conn]struct{}
	perIP         map[netip.Addr]int
}

var (
	errTooManyConnections      = errors.New("too many connections")
	errTooManyConnectionsPerIP = errors.New("too many connections from one address")
)

func (cs *connections) add(c *Conn) error {
	switch {
	case len(cs.open) >= cs.max:
		return errTooManyConnections
	case cs.perIP[c.ip] >= cs.maxPerIP:
		return errTooManyConnectionsPerIP
	case cs.open == nil:
		cs.open, cs.perIP = map[*Conn]struct{}{}, map[netip.Addr]int{}
	}
	cs.open[c] = struct{}{}
	cs.perIP[c.ip]++
	return nil
}

func (cs *connections) remove(c *Conn) {
	delete(cs.open, c)
	if cs.perIP[c.ip]--; cs.perIP[c.ip] == 0 {
		delete(cs.perIP, c.ip)
	}
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
