// Package raftnet carries what the members of the metadata quorum say to one another: raft's messages (Transport), and requests for the leader (Forwarder).
//
// It sits on protocol/client, which has the connections, and protocol/peer, which has the bytes; protocol/handlers gives it what comes in. Nothing is durable, and nothing is certain to
// arrive: raft asks again for what it misses, and Forwarder says so for the rest.
//
// Goroutines: one for each other member of the quorum that was ever written to, one for the leader, and two for each connection of theirs. All belong to Run.
//
// Start reading at transport.go, then link.go and receive.go; forwarder.go stands alone.
package raftnet
