package protocol

// Node is one node of a cluster, as it tells of itself to the others.
type Node struct {
	ID        BrokerID    // NoBroker: it has none yet
	Directory DirectoryID // its first log directory: another after a disk was wiped
	Roles     Roles
}

// Roles is what a node does (Kafka's process.roles), as bits.
type Roles uint8

const (
	RoleBroker Roles = 1 << iota
	RoleController
)

// String is Kafka's spelling of process.roles.
func (r Roles) String() string {
	switch r {
	case RoleBroker:
		return "broker"
	case RoleController:
		return "controller"
	case RoleBroker | RoleController:
		return "broker,controller"
	}
	return ""
}
