// Package liveness knows which brokers are alive, as the active controller sees it.
//
// Nothing of it is replicated: a new controller gives everybody one full session. It is a machine: it has no clock, no goroutine and no connection, and is driven by whoever drives
// the quorum. What it finds is decided by decide.Fence, and asked for by decide.Sessions.
package liveness
