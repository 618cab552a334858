// Package wire reads requests and writes responses of the Kafka protocol without trusting a byte of them.
//
// It sits between the connection (package server, which owns frames) and the handlers. It does no I/O, starts no goroutine, locks nothing and keeps nothing: every
// slice that a scanner or a header hands out aliases the frame and lives as long as the frame does.
//
// Three ways into a request's body:
//
//   - Produce and Fetch are scanned in place by ProduceScanner and FetchScanner, and answered by ProduceWriter and FetchWriter. Nothing is allocated.
//   - Everything else goes through Decode: Check walks the bytes by the key's schema and adds up what a decode would cost, and only then kmsg decodes.
//   - The header in front of them is read by ParseHeader, before anything is known about the peer.
//
// The schemas are a generated table (schema_gen.go), derived from kmsg's own decoders by schemagen, because it is exactly those decoders that Check stands guard for.
//
// Start reading at header.go, then decode.go and check.go; produce_scanner.go and fetch_scanner.go stand alone.
package wire

//go:generate go run ./schemagen -o schema_gen.go
