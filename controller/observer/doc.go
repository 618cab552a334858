// Package observer follows the metadata on a node that has no part in the quorum (process.roles=broker): it fetches committed entries, and a snapshot where it is far behind, from
// any member, and makes images of them. To the rest of the node an Observer is what a controller.Controller is.
//
// It sits on protocol/client; what a member answers is in protocol/handlers (metadata_log.go, 59_fetch_snapshot.go, 10004_committed.go) and controller (committed.go). What an
// entry means is quorum.Next's to say, here as there.
//
// Nothing is durable: a start fetches all again. As only committed entries are served, what was fetched never has to be taken back, from whomever it came.
//
// Goroutines: Run's, and two of its one connection. Start reading at observer.go, then fetch.go.
package observer
