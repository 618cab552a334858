// Package peer is the calls that nodes of a cluster make to one another, as bytes: who am I (Hello), raft's messages, a request forwarded to the leader, a node that joins.
//
// They are framed as all calls are (see protocol/wire: request header version 1, response header version 0), under keys that Apache Kafka will not use, each with a version of its own.
// A node says in its answer to Hello which versions it serves. None of them is ever told to clients.
//
// The package does no I/O and starts no goroutine: protocol/client calls, protocol/handlers answers. Decoders trust nothing: they allocate no more than a small multiple of what
// came, and give ErrMalformed for everything else. Numbers are big-endian; a string is its length in two bytes and then UTF-8.
//
// Start reading at keys.go, then handshake.go.
package peer
