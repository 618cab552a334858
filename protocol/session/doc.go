// Package session keeps fetch sessions (KIP-227) on the broker's side: what a consumer or follower fetches is remembered between its requests, so that a request names
// only what changed and an answer only what is new.
//
// It sits between wire (whose FetchScanner it reads) and the Fetch handler, and knows nothing of logs or connections. It starts no goroutine, does no I/O and keeps nothing
// on disk; time is an argument. Any number of goroutines may use one Cache. A Context belongs to one request, from Begin to End, and may move between goroutines with it.
//
// A session is used by one request at a time. That is no mutex but a mark: it is held while a long poll waits, so nobody ever waits for it. A second request of the same
// session meanwhile gets INVALID_FETCH_SESSION_EPOCH. (Kafka lets the second one in and fails the first; a client has only one fetch in flight per session.)
//
// Start reading at context.go; cache.go decides who may keep a session, partitions.go is what one remembers.
package session
