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

func voterCases() []rawCase {
	other, empty, own := "another-cluster", "", "AAAAAAAAAAAAAAAAAAAAAQ"
	clusters := []*string{nil, &other, &empty, &own}
	cases := each(80, 0, "add a voter", func(x *exchange, v int16) {
		for _, cluster := range clusters {
			for _, id := range []int32{1, 9, -1} {
				for _, directory := range [][16]byte{{}, {15: 101}} {
					req := kmsg.NewPtrAddRaftVoterRequest()
					req.ClusterID, req.TimeoutMillis, req.VoterID, req.VoterDirectoryID = cluster, 1_000, id, directory
					x.ask(v, req)
					l := kmsg.NewAddRaftVoterRequestListener()
					l.Name, l.Host, l.Port = "CONTROLLER", "localhost", 1
					req.Listeners = append(req.Listeners, l)
					x.ask(v, req)
				}
			}
		}
	})
	return append(cases, each(81, 0, "remove a voter", func(x *exchange, v int16) {
		for _, cluster := range clusters {
			for _, id := range []int32{1, 9, -1} {
				for _, directory := range [][16]byte{{}, {15: 101}} {
					req := kmsg.NewPtrRemoveRaftVoterRequest()
					req.ClusterID, req.VoterID, req.VoterDirectoryID = cluster, id, directory
					x.ask(v, req)
				}
			}
		}
	})...)
}
