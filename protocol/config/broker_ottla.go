package config

// durabilities are the values of ottla.durability.
var durabilities = []string{"durable", "memory"}

// What Kafka has no name for.
var ottlaRows = []row{
	{"ottla.durability", String, "durable", ClusterWide, applied, oneOf(durabilities...),
		"When a write counts unless the topic says otherwise: 'durable' once it is on the disk of every in-sync replica, 'memory' once it is in their page cache."},
	{"ottla.ballast.bytes", Long, "-1", ReadOnly, applied, atLeast(-1),
		"Bytes put by in each log folder, for what must be written even on a full disk: metadata, internal topics, checkpoints. -1 is the smaller of 64 MiB and 1 % of the file system."},
	{"ottla.disk.free.min.bytes", Long, "-1", ClusterWide, applied, atLeast(-1),
		"With less than this left on the file system of a log folder, writes of clients to it are refused with a retriable error. -1 is the smaller of 1 GiB and 5 % of the file system."},
	{"ottla.memory.budget.bytes", Long, "268435456", ReadOnly, applied, atLeast(1 << 20),
		"Bytes of requests that the whole node holds at a time; connections wait their turn beyond it."},
	{"ottla.quorum.voters", Int, "3", ClusterWide, applied, oneOf("1", "3", "5"),
		"Voters that the metadata quorum is to have, once there are as many controllers: 1, 3 or 5."},
	{"ottla.scrub.bytes.per.second", Long, "8388608", ReadOnly, applied, atLeast(0),
		"Bytes of old records that the whole node reads again each second to check them; 0 switches the scrub off."},
	{"ottla.scrub.period.ms", Long, "604800000", ReadOnly, applied, atLeast(1),
		"How often every partition's closed segments are read again and checked."},
	{"ottla.pprof", Boolean, "false", ReadOnly, applied, nil,
		"Serves profiles under /debug/pprof on the HTTP address."},
}

// What Kafka's brokers take as dynamic configs only, for throttling a reassignment; its DescribeConfigs hides them.
var throttleRows = []row{
	{"leader.replication.throttled.rate", Long, maxInt64, ClusterWide, inert, atLeast(0),
		"Bytes per second sent to the followers in leader.replication.throttled.replicas, over all of them."},
	{"follower.replication.throttled.rate", Long, maxInt64, ClusterWide, inert, atLeast(0),
		"Bytes per second fetched by the followers in follower.replication.throttled.replicas, over all of them."},
	{"replica.alter.log.dirs.io.max.bytes.per.second", Long, maxInt64, ClusterWide, inert, atLeast(0),
		"Bytes per second copied when replicas move between log folders."},
}
