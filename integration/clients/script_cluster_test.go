//go:build clients

package clients

import (
	"encoding/base64"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	features = "org.apache.kafka.tools.FeatureCommand"
	quorum   = "org.apache.kafka.tools.MetadataQuorumCommand"
)

// clusterSteps administer the cluster itself. They change nothing that is there, and say the same however many nodes there are, but for the lines about voters and endpoints.
func clusterSteps() []step {
	return slices.Concat(featureSteps(), quorumSteps(), voterSteps(), registrationSteps())
}

func featureSteps() []step {
	const to = "--bootstrap-server $B "
	return []step{
		{name: "features", tool: features, args: to + "describe"},
		{name: "upgrade an unknown feature", tool: features, args: to + "upgrade --feature no.such.feature=1"},
		{name: "upgrade an unknown feature, dry run", tool: features, args: to + "upgrade --feature no.such.feature=1 --dry-run"},
		{name: "upgrade an unknown feature to nothing", tool: features, args: to + "upgrade --feature no.such.feature=0"},
		{name: "upgrade to less than nothing", tool: features, args: to + "upgrade --feature no.such.feature=-1"},
		{name: "upgrade nothing", tool: features, args: to + "upgrade"},
		{name: "downgrade an unknown feature", tool: features, args: to + "downgrade --feature no.such.feature=1"},
		{name: "downgrade an unknown feature to nothing", tool: features, args: to + "downgrade --feature no.such.feature=0"},
		{name: "downgrade an unknown feature, unsafe", tool: features, args: to + "downgrade --unsafe --feature no.such.feature=1"},
		{name: "downgrade an unknown feature, dry run", tool: features, args: to + "downgrade --dry-run --feature no.such.feature=1"},
		{name: "disable an unknown feature", tool: features, args: to + "disable --feature no.such.feature"},
		{name: "disable an unknown feature, dry run", tool: features, args: to + "disable --dry-run --feature no.such.feature"},
		{name: "features of the controllers", tool: features, args: "--bootstrap-controller $B describe"},
	}
}

func quorumSteps() []step {
	const to = "--bootstrap-server $B "
	return []step{
		{name: "quorum", tool: quorum, args: to + "describe --status"},
		{name: "replication of the quorum", tool: quorum, args: to + "describe --replication"},
		{name: "replication of the quorum, for people", tool: quorum, args: to + "describe --replication --human-readable"},
		{name: "quorum of the controllers", tool: quorum, args: "--bootstrap-controller $B describe --status"},
	}
}

func voterSteps() []step {
	const to = "--bootstrap-server $B "
	stranger := map[string]string{
		"stranger.properties":      "process.roles=controller\nnode.id=9\ncontroller.listener.names=CONTROLLER\nlisteners=CONTROLLER://localhost:1\nlog.dirs=$D/stranger\n",
		"stranger/meta.properties": "version=1\nnode.id=9\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\ndirectory.id=AAAAAAAAAAAAAAAAAAAAZQ\n",
	}
	return []step{
		{name: "add a controller, dry run", tool: quorum, args: to + "--command-config $D/stranger.properties add-controller --dry-run", files: stranger},
		{name: "remove a controller, dry run", tool: quorum, args: to + "remove-controller --controller-id 9 --controller-directory-id AAAAAAAAAAAAAAAAAAAAZQ --dry-run"},
		{name: "remove a controller that is not there", tool: quorum, args: to + "remove-controller --controller-id 9 --controller-directory-id AAAAAAAAAAAAAAAAAAAAZQ"},
		{name: "remove a controller with another folder", tool: quorum, args: to + "remove-controller --controller-id 1 --controller-directory-id AAAAAAAAAAAAAAAAAAAAZQ"},
		{name: "remove a controller by the folder of another", tool: quorum, args: to + "remove-controller --controller-id 9 --controller-directory-id $V"},
		{name: "remove a controller from nowhere", tool: quorum, args: to + "remove-controller --controller-id 1 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAA"},
		{name: "quorum after all that", tool: quorum, args: to + "describe --status"},
	}
}

func registrationSteps() []step {
	return []step{
		{name: "id of the cluster", tool: cluster, args: "cluster-id --bootstrap-server $B"},
		{name: "endpoints", tool: cluster, args: "list-endpoints --bootstrap-server $B"},
		{name: "endpoints, fenced ones too", tool: cluster, args: "list-endpoints --include-fenced-brokers --bootstrap-server $B"},
		{name: "endpoints of controllers", tool: cluster, args: "list-endpoints --bootstrap-controller $B"},
		{name: "unregister a broker that is not there", tool: cluster, args: "unregister --bootstrap-server $B --id 99"},
		{name: "unregister a broker less than nothing", tool: cluster, args: "unregister --bootstrap-server $B --id -1"},
		{name: "unregister a broker by a controller", tool: cluster, args: "unregister --bootstrap-controller $B --id 99"},
	}
}

// voterDirectory is the directory id of the first voter: $V.
func (b *broker) voterDirectory() string {
	x := &exchange{broker: b, known: newRawNames(b)}
	defer x.hangUp()
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
	id := must[*kmsg.DescribeQuorumResponse](x, 2, req).Topics[0].Partitions[0].CurrentVoters[0].ReplicaDirectoryID
	return base64.RawURLEncoding.EncodeToString(id[:])
}
