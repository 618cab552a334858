// Package classic is the classic consumer groups of one shard (KIP-62 and before; the members assign, the coordinator carries): join, sync, heartbeat, leave, static members,
// rebalances. Any protocol type goes: consumers, Connect's workers, others.
//
// What a record in __consumer_offsets says of a group is replayed state (see images in Groups). What waits, counts or times out is soft state, a group each; a group in which
// nobody is has none. A group's soft state is ahead of its records: a rebalance is written only when the leader has assigned, and an assignment is handed out only when it is
// committed. Behaviour is Apache Kafka 4's, with its GroupMetadataManager's words for reasons.
//
// Start reading at Groups, then join.go, rebalance.go and sync.go. Everything runs on the shard's turn: no goroutine, clock or lock.
package classic
