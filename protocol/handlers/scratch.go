package handlers

import (
	"sync"

	"ottla/protocol/server"
)

// Produce and Fetch keep what they need in calls of their own, which are used again and again: so they allocate nothing once those have grown to the clients' habits.
// They belong to nobody in between: a connection that once had many large requests in flight keeps nothing of it.
var (
	produceCalls = sync.Pool{New: func() any { return new(produceCall) }}
	fetchCalls   = sync.Pool{New: func() any { return new(fetchCall) }}
)

// keepPartitions is how many partitions a pooled call keeps room for.
const keepPartitions = 1024

// take gives c a T out of the pool, until giveBack.
func take[T any](pool *sync.Pool, c *server.Call) *T {
	t := pool.Get().(*T)
	c.Scratch = t
	return t
}

// giveBack ends the use of c's own: the reply is complete, or there is none.
func giveBack(pool *sync.Pool, c *server.Call) {
	pool.Put(c.Scratch)
	c.Scratch = nil
}
