// Package ottla runs a node of a Kafka-compatible broker: Start wires the packages together, and is the embedding API.
//
// It is the only package that knows every concrete type. The parts, in the order in which a node starts them (and, backwards, stops them): the log store (disk),
// the metadata log and the controller on it, the replica manager that follows the controller's image, the handlers, the server that feeds them, and HTTP for operators.
// Goroutines belong to the parts; this package starts each part's Run once and ends it (part.go).
// What is durable when is the log's and the controller's business. Start reading at node.go.
package ottla
