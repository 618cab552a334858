package protocol

// Principal is who a connection speaks for.
type Principal struct {
	Type string // "User"
	Name string
}

// Anonymous is the principal of a connection without authentication, as in Kafka.
var Anonymous = Principal{Type: "User", Name: "ANONYMOUS"}

func (p Principal) String() string { return p.Type + ":" + p.Name }

// ResourceType is what a permission is about; the numbers are Kafka's wire codes.
type ResourceType int8

const (
	ResourceTopic           ResourceType = 2
	ResourceGroup           ResourceType = 3
	ResourceCluster         ResourceType = 4
	ResourceTransactionalID ResourceType = 5
)

// Resource is one thing that a permission is about. The cluster's name is "kafka-cluster".
type Resource struct {
	Type ResourceType
	Name string
}

// Cluster is the one resource of type cluster.
var Cluster = Resource{Type: ResourceCluster, Name: "kafka-cluster"}

// Operation is what a principal wants to do with a resource; the numbers are Kafka's wire codes.
type Operation int8

const (
	OpRead            Operation = 3
	OpWrite           Operation = 4
	OpCreate          Operation = 5
	OpDelete          Operation = 6
	OpAlter           Operation = 7
	OpDescribe        Operation = 8
	OpClusterAction   Operation = 9
	OpDescribeConfigs Operation = 10
	OpAlterConfigs    Operation = 11
	OpIdempotentWrite Operation = 12
)
