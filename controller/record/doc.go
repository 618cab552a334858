// Package record holds the records of the metadata quorum: what changes the cluster's state, one change each, and their bytes.
//
// It sits at the bottom of controller: decide makes records, the driver puts a list of them into the value of one raft entry, image applies them. It is
// pure: no I/O, no goroutine. A record is durable when the raft entry that carries it is.
//
// The messages are in metadata.proto, the framing of a list and the rules for changing either in FORMAT.md. Start reading there, then list.go.
package record

// The generated code is committed; go generate needs protoc and google.golang.org/protobuf/cmd/protoc-gen-go of the version in go.mod.
//
//go:generate protoc --go_out=. --go_opt=paths=source_relative metadata.proto
