package wire

// Largest frames, in bytes without the four of the length, by class of API key. The API table gives each key its class.
const (
	// MaxUnauthenticatedFrame holds before authentication, and for keys that are not in the API table.
	MaxUnauthenticatedFrame = 64 << 10
	// MaxAdminFrame holds for calls that change or describe the cluster.
	MaxAdminFrame = 1 << 20
	// MaxMetadataFrame holds for calls that grow with the number of partitions asked about. Fetch is one: more than 100,000 partitions fit, and what a fetch session keeps
	// of each is several times what it takes on the wire.
	MaxMetadataFrame = 4 << 20
	// MaxDataFrame holds for Produce: the default of Kafka's socket.request.max.bytes.
	MaxDataFrame = 100 << 20
)

const (
	// MaxClientID is the longest client id accepted, in bytes; Kafka's own limit is the 32 KiB of its length field.
	MaxClientID = 1 << 10
	// MaxTags and MaxTagBytes bound one section of tagged fields. They are Envoy's figures; no client sends more than a handful.
	MaxTags     = 64
	MaxTagBytes = 64 << 10
	// decodeFactor and decodeFloor bound what a decode may allocate: max(factor * body, floor).
	decodeFactor = 4
	decodeFloor  = 4 << 20
)
