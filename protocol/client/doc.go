// Package client calls other nodes of the cluster: one connection with calls in flight (Conn), and a connection that is kept open (Peer).
//
// It sits beside protocol/server, knows the calls of package peer and no meaning of theirs, and gets its dial function from outside: TLS, if there is any, is in there. Nothing is durable.
//
// Goroutines: a Conn has two, a reader and a writer, from Dial until Close; a Peer's Run is one more. None per call. What a peer sends is trusted no further than what a client
// sends: replies have a limit, and memory is taken as their bytes come.
//
// Start reading at conn.go, then peer.go.
package client
