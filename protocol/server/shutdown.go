package server

import (
	"context"
	"net"
	"time"
)

// shutdownGrace is how long parked replies may still become ready: an append that waits for its flush does, a long poll is cut short.
const shutdownGrace = 100 * time.Millisecond

// drainTime is how long replies that are ready may take to leave after that.
const drainTime = 5 * time.Second

// Shutdown stops accepting and reading. Replies that are ready, or become so within a moment, still leave; then what is parked is finished with Alive false and its
// connection closed. Connections that still cannot send after drainTime, or when ctx ends, are cut, which is logged: a client that does not read is no failure of the
// server's. All goroutines of the server have ended after it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	defer s.lobby.close()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	s.eachConn((*Conn).stopReading)

	grace := time.NewTimer(shutdownGrace)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
		s.eachConn((*Conn).stopWaiting)
	case <-ctx.Done():
	}
	drain := time.NewTimer(drainTime)
	defer drain.Stop()
	select {
	case <-done:
		return nil
	case <-drain.C:
	case <-ctx.Done():
	}
	open := 0
	s.eachConn(func(c *Conn) { open++; c.kill(ErrShutdown) })
	<-done
	if open > 0 {
		s.log.Warn("connections cut at shutdown: their clients did not take the replies", "connections", open)
	}
	return nil
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	if !s.stopped {
		s.stopped = true
		close(s.stop)
	}
	open := make([]net.Listener, 0, len(s.listeners))
	for l := range s.listeners {
		open = append(open, l)
	}
	s.mu.Unlock()
	for _, l := range open {
		_ = l.Close()
	}
}

func (s *Server) eachConn(f func(*Conn)) {
	s.mu.Lock()
	all := s.conns.all()
	s.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}
