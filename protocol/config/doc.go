// Package config is the one table of configuration names: type, default, validator, mode and documentation of every topic and broker config, and the rules by which
// a value is found in the layers that may set it.
//
// It sits beside the vocabulary, below everything: no I/O, no goroutine, nothing durable; the table is built once and never changes. Names, defaults, ranges and
// the words of errors are Apache Kafka's (4.3); what Kafka has no name for is prefixed "ottla.". Start reading at definition.go, then values.go; the table itself
// is in topic.go and the broker*.go files.
package config
