// Package handlers answers Kafka's requests: one table of API keys and one file per key.
//
// It sits between server (which knows bytes, connections and the order of replies) and the rest of the broker, which it sees through the small interfaces of broker.go:
// partitions, the controller, producer ids, the authorizer. It owns no goroutine and no state but caches that derive from the metadata image; nothing here is durable.
// First stages run on a connection's reader goroutine, in request order; second stages (Finish) on its writer's.
//
// A handler reads top to bottom: resolve, authorise, validate, call, fill in. What it answers, per version, stands in the first comment of its file, with the
// differences from Apache Kafka and their reasons. Produce and Fetch are scanned and written by hand and allocate nothing in steady state; the other keys
// take and return kmsg's types, decoded under a budget by package wire.
//
// Start reading at table.go, then dispatch.go, then 60_describe_cluster.go (the simplest key) and 00_produce.go (the hottest).
package handlers
