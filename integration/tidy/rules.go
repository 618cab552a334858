// Package tidy holds the rules of the house and the tests that keep them: who may import whom, where third-party packages may appear, how long a file may be,
// and that the README's graph and tables are what the code says.
//
// It is read by its tests alone. A rule is broken on purpose by changing it here, with the reason.
package tidy

// Rule says what a package (or, with a trailing "/...", a package and all below it) may import of ours, and why that direction.
type Rule struct {
	Package string
	May     []string
	Why     string
}

// Rules are looked up by the longest matching Package. What is not listed may not be imported.
var Rules = []Rule{
	{"protocol", nil, "the vocabulary stands below everything"},
	{"protocol/wire", []string{"protocol"}, "framing knows bytes and names, no server and no log"},
	{"protocol/wire/schemagen", nil, "a generator run by hand reads message definitions and nothing of ours"},
	{"protocol/config", []string{"protocol"}, "definitions are a table; who uses them reads the values"},
	{"protocol/session", []string{"protocol", "protocol/wire"}, "fetch sessions remember what the scanner read; they know no partition"},
	{"protocol/server", []string{"protocol", "protocol/wire"}, "the server knows only a Dispatcher: no API key, no topic, no log"},
	{"protocol/memnet", nil, "a network for tests, nothing else"},
	{"protocol/peer", []string{"protocol"}, "the calls of nodes as bytes: pure, as both sides and their fuzzers need them"},
	{"protocol/client", []string{"protocol", "protocol/wire", "protocol/peer"}, "a connection to a node knows who is there and frames; what is asked is its user's business"},
	{"protocol/handlers", []string{"protocol", "protocol/...", "log", "log/...", "controller/image", "controller/record"},
		"handlers meet the controller, the replicas and the groups through interfaces that they own; only the root package knows the concrete types"},
	{"log", []string{"protocol", "protocol/config", "log/..."}, "a partition's log knows neither requests nor leadership"},
	{"log/sabotage", nil, "planted bugs know nothing: one line where the right thing is done asks whether to do it"},
	{"log/vfs", nil, "the file system seam interprets no bytes"},
	{"log/batch", []string{"protocol"}, "pure: bytes in, bytes out"},
	{"log/producer", []string{"protocol", "log/batch"}, "pure: the duplicate window is a value"},
	{"log/checkpoint", []string{"protocol", "protocol/config", "log/vfs"}, "small files over the seam; meta.properties is a property file"},
	{"log/purgatory", []string{"protocol"}, "parked replies know offsets and deadlines, not who waits"},
	{"log/timeline", nil, "a data structure: it knows offsets as numbers"},
	{"log/compact", []string{"protocol", "log/..."}, "the cleaner reads and swaps segments; which logs, and when, is the log's"},
	{"log/segment", []string{"protocol", "log/vfs", "log/batch", "log/sabotage"}, "a segment is one file triple; policy is the log's"},
	{"controller/record", []string{"protocol"}, "the format of metadata knows no state"},
	{"controller/image", []string{"protocol", "protocol/config", "controller/record"}, "brokers and handlers read images: they may not drag the quorum in"},
	{"controller/placement", []string{"protocol"}, "pure: brokers in, replicas out"},
	{"controller/decide", []string{"protocol", "protocol/config", "controller/record", "controller/image", "controller/placement"}, "decisions are pure: no clock, no I/O, no raft"},
	{"controller/raftlog", []string{"protocol", "log", "log/...", "controller/sabotage"}, "the raft log is a Kafka log"},
	{"controller/kraft", []string{"protocol", "log", "log/..."}, "reads what Apache Kafka has left on disk: batches and names, and nothing of our own metadata"},
	{"controller/sabotage", []string{"log/sabotage"}, "the names of bugs; the log's say how they are planted"},
	{"controller/quorum", []string{"protocol", "protocol/config", "log", "log/...", "controller/record", "controller/image", "controller/decide", "controller/liveness", "controller/raftlog", "controller/sabotage"},
		"a machine: it knows no goroutine, clock or connection; its disk is the raft log"},
	{"controller/liveness", []string{"protocol", "controller/image", "controller/decide"}, "a machine: it is told what was heard and what was decided; who asks brokers is not its business"},
	{"controller/raftnet", []string{"protocol", "protocol/peer", "protocol/client"}, "carries messages: it knows members by raft id and address, and neither the machine nor the image"},
	{"controller", []string{"protocol", "protocol/config", "log", "log/...", "controller/..."}, "the driver knows the quorum, not the partitions that follow it"},
	{"replica", []string{"protocol", "protocol/config", "log", "log/...", "controller/image", "controller/record"},
		"replicas follow the image; how it was decided is the controller's business"},
	{"group/runtime", []string{"protocol", "log", "log/..."}, "the runtime knows logs and machines, and no group"},
	{"group/offsets", []string{"protocol", "log/timeline", "group/runtime"}, "a machine knows no log, clock, lock or goroutine; what it wants done it says in the runtime's words"},
	{"group/classic", []string{"protocol", "log/timeline", "group/runtime"}, "a machine knows no log, clock, lock or goroutine; what it wants done it says in the runtime's words"},
	{"group", []string{"protocol", "protocol/config", "log", "log/...", "controller/image", "group/..."}, "the coordinator meets replicas and controller through interfaces of its own"},
	{"", []string{"protocol", "protocol/...", "log", "log/...", "controller", "controller/...", "replica", "group/..."}, "the root package is the wiring: the only one that knows every concrete type"},
	{"cmd/...", []string{"", "protocol", "protocol/...", "log", "log/...", "controller/record", "controller/image"}, "the binary starts nodes, and reads files and formats for people"},
	{"integration/...", []string{"", "protocol", "protocol/...", "log", "log/...", "controller", "controller/...", "replica", "group", "group/...", "cmd/...", "integration/..."}, "suites see everything"},
}

// ThirdParty says which of our packages may import a module that is not ours and not the standard library. A file pattern after "#" narrows it to files of that name.
var ThirdParty = []Rule{
	{"github.com/twmb/franz-go/pkg/kerr", []string{"..."}, "wire errors are part of the vocabulary"},
	{"github.com/twmb/franz-go/pkg/kmsg", []string{"protocol/wire", "protocol/wire/...", "protocol/handlers", "protocol/server#metrics.go", "controller/...", "group/...", "", "cmd/...", "integration/..."},
		"kmsg's types are how administrative requests travel; the server and the logs' hot paths do without"},
	{"github.com/twmb/franz-go/pkg/kbin", []string{"protocol/wire", "protocol/handlers", "integration/..."}, "primitives of the encoding"},
	{"github.com/twmb/franz-go/", []string{"cmd/...", "integration/..."}, "the client belongs to tools and suites"},
	{"go.etcd.io/raft/v3/raftpb", []string{"controller/quorum", "controller/raftlog", "controller/raftnet", "integration/sim"}, "raft's messages also where they are carried"},
	{"go.etcd.io/raft/v3", []string{"controller/quorum", "controller/raftlog", "integration/sim"}, "raft only in the quorum, and where it is simulated: messages and configurations are raft's"},
	{"github.com/klauspost/compress", []string{"log/batch"}, "codecs only where batches are read"},
	{"github.com/pierrec/lz4/v4", []string{"log/batch"}, "codecs only where batches are read"},
	{"github.com/prometheus/client_golang", []string{"...#metrics.go"}, "measuring may not leak into logic: metrics.go files only"},
	{"google.golang.org/protobuf", []string{"controller/record", "controller/raftlog", "controller/quorum", "controller/raftnet", "integration/sim"}, "protobuf for metadata records, and raft's own messages"},
	{"golang.org/x/sys/unix", []string{"log/vfs", "protocol/server", "", "integration/..."}, "system calls behind two seams: the disk and the socket; the wiring asks for the limit of open files, and suites for what a process is"},
	{"golang.org/x/sync", []string{"integration/..."}, "goroutines that end together, in suites and tools"},
	{"github.com/spf13/cobra", []string{"cmd/..."}, "the command line is the binary's"},
}
