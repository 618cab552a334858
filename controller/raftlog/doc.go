// Package raftlog keeps a raft node's memory on disk: its entries in a Kafka log (__cluster_metadata-0), its term, vote and commit in a small state file, its
// snapshots in files of their own. Storage implements raft.Storage.
//
// It sits between log and the driver in controller, and knows nothing of what the entries mean. A Storage belongs to the driver's goroutine and starts none;
// WriteSnapshot may run elsewhere, because it touches nothing but its own new file, and so may those who read finished snapshots (NewestSnapshot, SnapshotFile).
//
// What is durable when: Save returns after the new term and vote (with the old commit), then the entries are on disk, in this order. The commit index is written
// without waiting, and never beyond the last entry on disk, so the stored one is a lower bound; it marks what can only be damaged, never merely torn.
// A snapshot is durable when WriteSnapshot returns.
//
// FORMAT.md draws the bytes. Start reading at storage.go, then save.go.
package raftlog
