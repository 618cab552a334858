// Package checkpoint reads and writes the small files beside the logs: offsets, leader epochs, ids, the mark of a clean shutdown, and the manifest of created folders.
//
// All but the manifest are Apache Kafka's, byte for byte, so that its tools and brokers read our folders and we read theirs. It sits on vfs, below log, and keeps
// nothing: no goroutine, no lock, no open file but a Manifest's. A file is replaced as a whole: written under a temporary name, fsynced, renamed, and the folder
// fsynced; when a Write function has returned nil the content is durable, when it has not the old file is still whole.
//
// Readers take any bytes: they are bounded in size, and tell a file that is absent (fs.ErrNotExist) from one that is malformed (ErrMalformed). Start reading at
// file.go, then offsets.go; manifest.go is the one that is not simple.
package checkpoint
