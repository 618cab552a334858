package peer

// Keys of the calls between nodes.
const (
	// KeyHello proves to both sides that the other knows the cluster's secret. The only one that is answered before that.
	KeyHello int16 = 10_000
	// KeyRaft brings raft's messages. One way: it has no reply.
	KeyRaft int16 = 10_001
	// KeyForward has the leader of the metadata quorum decide a request for another node.
	KeyForward int16 = 10_002
	// KeyJoin asks for a node id in the cluster, and where its nodes are.
	KeyJoin int16 = 10_003
	// KeyCommitted asks what the metadata quorum has committed by now.
	KeyCommitted int16 = 10_004

	// FirstKey is where the range of our own begins; KeysEnd is one past the last.
	FirstKey = KeyHello
	KeysEnd  = KeyCommitted + 1
)

// Largest frames, in bytes without the four of the length.
const (
	// MaxHelloFrame holds before a connection's Hello was right, whatever the key.
	MaxHelloFrame = 64 << 10
	// MaxRaftFrame holds several messages of raft, or a chunk of what is larger.
	MaxRaftFrame = 4 << 20
	// MaxForwardFrame is a client's largest administrative request, and what stands around it.
	MaxForwardFrame = 5 << 20
	MaxJoinFrame    = 64 << 10
	// MaxCommittedFrame holds a header: there is no body.
	MaxCommittedFrame = 4 << 10
)

// KeyVersions is the range of versions of one key.
type KeyVersions struct{ Key, Min, Max int16 }

// Versions is what this build speaks, by key.
func Versions() []KeyVersions {
	return []KeyVersions{{KeyHello, 0, 0}, {KeyRaft, 0, 0}, {KeyForward, 0, 0}, {KeyJoin, 0, 0}, {KeyCommitted, 0, 0}}
}

// Highest is the highest version of a key that both sides speak, false if there is none.
func Highest(theirs []KeyVersions, key int16) (int16, bool) {
	for _, ours := range Versions() {
		for _, t := range theirs {
			if ours.Key == key && t.Key == key {
				v := min(ours.Max, t.Max)
				return v, v >= ours.Min && v >= t.Min
			}
		}
	}
	return 0, false
}
