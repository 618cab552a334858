//go:build clients

package clients

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterCases are about how the cluster itself is administered: feature levels, registrations and voters. What they ask changes nothing on a single node.
func clusterCases() []rawCase {
	return slices.Concat(featureCases(), unregisterCases(), voterCases())
}

// update is one feature's wanted level. downgrade is how it is to be reached; from version 1 on, 1 upgrade, 2 safe and 3 unsafe downgrade.
type update struct {
	feature   string
	level     int16
	downgrade int8
}

func featureCases() []rawCase {
	return each(57, 0, "update features", func(x *exchange, v int16) {
		for _, updates := range [][]update{
			{},
			{{"no.such.feature", 1, 1}},
			{{"no.such.feature", 1, 2}},
			{{"no.such.feature", 0, 1}},
			{{"no.such.feature", 0, 2}},
			{{"no.such.feature", 0, 3}},
			{{"no.such.feature", -1, 1}},
			{{"no.such.feature", 1, 0}},
			{{"no.such.feature", 1, 4}},
			{{"", 1, 1}},
			{{"no.such.feature", 0, 2}, {"another.feature", 2, 1}},
			{{"no.such.feature", 1, 1}, {"no.such.feature", 0, 2}},
		} {
			for _, dry := range []bool{false, true} {
				if dry && v == 0 {
					continue
				}
				req := kmsg.NewPtrUpdateFeaturesRequest()
				req.ValidateOnly, req.TimeoutMillis = dry, 10_000
				for _, u := range updates {
					f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
					f.Feature, f.MaxVersionLevel, f.UpgradeType, f.AllowDowngrade = u.feature, u.level, u.downgrade, v == 0 && u.downgrade > 1
					req.FeatureUpdates = append(req.FeatureUpdates, f)
				}
				x.ask(v, req)
			}
		}
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.TimeoutMillis = 0
		x.ask(v, req)
	})
}

func unregisterCases() []rawCase {
	return each(64, 0, "unregister a broker", func(x *exchange, v int16) {
		for _, id := range []int32{99, -1, -1 << 31} {
			req := kmsg.NewPtrUnregisterBrokerRequest()
			req.BrokerID = id
			x.ask(v, req)
		}
	})
}

// voterCases never name a voter as it is: it would be removed. The listeners that Apache Kafka wants of a new voter lead nowhere.
func voterCases() []rawCase {
	type voter struct {
		id        int32
		directory [16]byte
	}
	nowhere := kmsg.AddRaftVoterRequestListener{Name: "CONTROLLER", Host: "localhost", Port: 1}
	voters := []voter{{1, [16]byte{}}, {1, [16]byte{15: 101}}, {9, [16]byte{}}, {-1, [16]byte{15: 101}}}
	add := func(x *exchange, v int16, cluster *string, of voter, listeners ...kmsg.AddRaftVoterRequestListener) {
		req := kmsg.NewPtrAddRaftVoterRequest()
		req.ClusterID, req.TimeoutMillis, req.VoterID, req.VoterDirectoryID, req.Listeners = cluster, 1_000, of.id, of.directory, listeners
		x.ask(v, req)
	}
	return slices.Concat(
		each(80, 0, "add a voter", func(x *exchange, v int16) {
			for _, cluster := range x.clusters() {
				for _, of := range voters {
					add(x, v, cluster, of, nowhere)
				}
			}
		}),
		each(80, 0, "add a voter without listeners", func(x *exchange, v int16) { add(x, v, nil, voters[1]) }),
		each(80, 0, "add a voter that is not there", func(x *exchange, v int16) { add(x, v, nil, voter{9, [16]byte{15: 101}}, nowhere) }),
		each(81, 0, "remove a voter", func(x *exchange, v int16) {
			for _, cluster := range x.clusters() {
				for _, of := range append(voters, voter{9, [16]byte{15: 101}}) {
					req := kmsg.NewPtrRemoveRaftVoterRequest()
					req.ClusterID, req.VoterID, req.VoterDirectoryID = cluster, of.id, of.directory
					x.ask(v, req)
				}
			}
		}),
	)
}

// clusters are the ids of no cluster in particular, of this one, of another and an empty one.
func (x *exchange) clusters() []*string {
	own := must[*kmsg.DescribeClusterResponse](x, 0, kmsg.NewPtrDescribeClusterRequest()).ClusterID
	other, empty := "another-cluster", ""
	return []*string{nil, &own, &other, &empty}
}
