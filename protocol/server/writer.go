package server

import (
	"time"
)

// writeFinished sends the finished replies at the front of the ring until there are none, and then gives the writer's role back, which its caller took.
// It runs on the reader's goroutine or on the one that a wake started; never on both.
func (c *Conn) writeFinished() {
	for c.claimFinished() {
		if err := c.sendClaimed(); err != nil {
			c.kill(err)
			continue
		}
		c.retireClaimed()
	}
}

// claimFinished notes the calls to send. If there are none, or the connection is dead, the writer's role is given back under the same lock, so that no wake is lost.
func (c *Conn) claimFinished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.out.claimed)
	c.out.claimed = c.out.claimed[:0]
	for i := c.ring.head; i < c.ring.tail && !c.dead; i++ {
		call := c.ring.at(i)
		if !call.ready() {
			break
		}
		c.out.claimed = append(c.out.claimed, call)
	}
	if len(c.out.claimed) > 0 {
		return true
	}
	c.writing = false
	c.change.Broadcast()
	return false
}

// sendClaimed runs the second stage of the parked ones and sends all, or the first of them if they are many bytes.
func (c *Conn) sendClaimed() error {
	size := 0
	for i, call := range c.out.claimed {
		if call.answer == replyLater {
			call.finished = true
			call.finisher.Finish(call)
			call.charge()
		}
		if size += call.Reply.Len() + maxReplyHeader; size >= maxUnsent {
			c.out.claimed = c.out.claimed[:i+1] // the others are claimed again: their replies are not made before there is room for them
			break
		}
	}
	if c.gone.Load() {
		return ErrShutdown // a Finish may have seen it and left its reply empty; whoever killed the connection gave the cause
	}
	return c.out.sendAll(size)
}

// retireClaimed frees the slots of the calls that were sent.
func (c *Conn) retireClaimed() {
	now := time.Now()
	size := 0
	for _, call := range c.out.claimed {
		c.server.o.Metrics.answered(call.Key, call.Reply.errorCode, now.Sub(call.Received))
		size += call.size
		call.letGo()
	}
	c.mu.Lock()
	for range c.out.claimed {
		c.ring.pop()
	}
	c.unsent -= size
	c.lastSent = now
	c.change.Broadcast()
	c.mu.Unlock()
}
