// Package group coordinates consumer groups: it answers the requests of groups out of machines whose state is replayed from __consumer_offsets.
//
// A group belongs to one partition of that topic, its shard; whoever leads the partition coordinates the group. Shard is the machine: classic groups (package classic) and what they
// committed (package offsets). Coordinator finds a request's shards, and puts their answers together. The runtime (package runtime) owns the goroutines, the log and the waiting.
//
// Start reading at Coordinator.Submit, then Shard.
package group
