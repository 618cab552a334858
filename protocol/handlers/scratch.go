package handlers

import "ottla/protocol/server"

// scratch is what a slot of a connection's ring keeps between the calls that pass through it, so that Produce and Fetch allocate nothing once it has grown to a client's habits.
// A client that sends one of them never pays for the other.
type scratch struct {
	produce *produceCall
	fetch   *fetchCall
}

// keepPartitions is how many partitions a slot keeps room for between calls.
const keepPartitions = 1024

func scratchOf(c *server.Call) *scratch {
	if s, ok := c.Scratch.(*scratch); ok {
		return s
	}
	s := &scratch{}
	c.Scratch = s
	return s
}
