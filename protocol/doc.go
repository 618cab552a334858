// Package protocol is the vocabulary of the broker: the names and numbers that every other package speaks, and the errors that go on the wire.
//
// It does no I/O, starts no goroutine and holds no state. Everything may import it; it imports nothing of ours. Start reading at ids.go.
package protocol
