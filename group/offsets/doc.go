// Package offsets is the committed offsets of a shard's groups: replayed state, and the decisions that change it. Whether a caller may commit for a group is the group's business
// (package classic); what a topic holds is asked through a function.
//
// Start reading at Store. Everything here runs on the shard's turn; there is no goroutine, clock or lock.
package offsets
