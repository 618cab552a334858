// Package batch is the record batch, version 2: the one unit that producers send, logs store and consumers fetch.
//
// It is pure: bytes in, bytes or verdicts out; no I/O, no goroutines, nothing durable. The log package sits above it, and everything that reads or makes records.
// A batch stays a []byte wherever it goes. Header is a decoded view of its first 61 bytes; the records behind it are looked at only where somebody must.
// Bytes come from the network or a damaged disk: every length and count is checked, in int64, before it is used or paid for, and nothing inflates past a limit
// that the caller gives. Errors carry the wire error that Apache Kafka answers, so handlers pass them on unchanged.
//
// The hot path is Single, Validate and Place: they allocate nothing. Pools hold inflate buffers, encoders and decoders between calls.
//
// Start reading at header.go (layout), then client.go, validate.go and walk.go (what every produced batch goes through), record.go and
// reader.go (what is inside), inflate.go and source.go (the codecs, at once and piece by piece).
package batch
