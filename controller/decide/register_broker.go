package decide

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// Limits on what one broker may register.
const (
	maxEndpoints   = 64
	maxFeatures    = 256
	maxDirectories = 1024
)

// registerBroker decides key 62. A new incarnation gets a new epoch, the offset of the record, and takes back the partitions of its predecessor (leadership.go).
// The same incarnation may amend its registration and keeps its epoch.
//
// The broker is in service at once: whoever registers is up and holds this image soon. Heartbeats only ever take it out and back in.
func (d *decision) registerBroker(req *kmsg.BrokerRegistrationRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	if err := d.checkRegistration(req); err != nil {
		resp.ErrorCode, resp.BrokerEpoch = protocol.ErrorCode(err), -1
		return d.outcome(resp, false)
	}
	k := registration(req)
	d.records = append(d.records, record.Of(k))
	if was := d.view.Broker(protocol.BrokerID(req.BrokerID)); was != nil && was.Incarnation == protocol.ID(req.IncarnationID) {
		resp.BrokerEpoch, k.Fenced = int64(was.Epoch), was.Fenced
	} else {
		resp.BrokerEpoch = int64(d.At)
		d.takeBack(protocol.BrokerID(req.BrokerID), req.LogDirs)
	}
	return d.outcome(resp, false)
}

func (d *decision) checkRegistration(req *kmsg.BrokerRegistrationRequest) error {
	if req.ClusterID != d.view.ClusterID() {
		return protocol.Errorf(kerr.InconsistentClusterID, "Expected cluster ID %s, but got cluster ID %s", d.view.ClusterID(), req.ClusterID)
	}
	if req.BrokerID < 0 || len(req.Listeners) == 0 || len(req.Listeners) > maxEndpoints || len(req.Features) > maxFeatures || len(req.LogDirs) > maxDirectories {
		return kerr.InvalidRequest
	}
	if err := d.checkDirectories(req); err != nil {
		return err
	}
	return d.checkFeatures(req)
}

// checkDirectories sees to it that a directory id names one directory in the whole cluster (KIP-858). Ids below 100 are reserved, as in Kafka.
func (d *decision) checkDirectories(req *kmsg.BrokerRegistrationRequest) error {
	if req.Version >= 2 && len(req.LogDirs) == 0 {
		return protocol.Errorf(kerr.InvalidRequest, "No directories specified in request")
	}
	for n, id := range req.LogDirs {
		switch {
		case reserved(id):
			return protocol.Errorf(kerr.InvalidRequest, "Reserved directory ID in request")
		case slices.Contains(req.LogDirs[:n], id):
			return protocol.Errorf(kerr.InvalidRequest, "Duplicate directory ID in request")
		}
	}
	for _, b := range d.view.Brokers() {
		for _, id := range b.Dirs {
			if b.ID != protocol.BrokerID(req.BrokerID) && slices.Contains(req.LogDirs, [16]byte(id)) {
				return protocol.Errorf(kerr.InvalidRequest, "Broker %d is already registered with directory %v", b.ID, id)
			}
		}
	}
	return nil
}

func reserved(id protocol.DirectoryID) bool {
	last := id[15]
	id[15] = 0
	return id.IsZero() && last < 100
}

// checkFeatures refuses a broker that does not understand what the cluster has finalized.
func (d *decision) checkFeatures(req *kmsg.BrokerRegistrationRequest) error {
	for name, level := range d.view.Features() {
		var lowest, highest int16
		for _, f := range req.Features {
			if f.Name == name {
				lowest, highest = f.MinSupportedVersion, f.MaxSupportedVersion
			}
		}
		if level < lowest || level > highest {
			return protocol.Errorf(kerr.UnsupportedVersion,
				"Unable to register because the broker does not support finalized version %d of %s. The broker wants a version between %d and %d, inclusive.",
				level, name, lowest, highest)
		}
	}
	for _, l := range req.Listeners {
		if l.SecurityProtocol < 0 {
			return kerr.InvalidRequest
		}
	}
	for _, f := range req.Features {
		if f.MinSupportedVersion < 0 || f.MaxSupportedVersion < f.MinSupportedVersion {
			return kerr.InvalidRequest
		}
	}
	return nil
}

func registration(req *kmsg.BrokerRegistrationRequest) *record.BrokerRegistration {
	k := &record.BrokerRegistration{Id: req.BrokerID, IncarnationId: slices.Clone(req.IncarnationID[:])}
	if req.Rack != nil {
		rack := text(*req.Rack)
		k.Rack = &rack
	}
	for _, l := range req.Listeners {
		k.Endpoints = append(k.Endpoints, &record.Endpoint{Name: text(l.Name), Host: text(l.Host), Port: uint32(l.Port), SecurityProtocol: int32(l.SecurityProtocol)})
	}
	for _, id := range req.LogDirs {
		k.Directories = append(k.Directories, id[:]...)
	}
	for _, f := range slices.SortedFunc(slices.Values(req.Features), func(a, b kmsg.BrokerRegistrationRequestFeature) int {
		return strings.Compare(a.Name, b.Name)
	}) {
		k.Features = append(k.Features, &record.FeatureRange{Name: text(f.Name), Min: int32(f.MinSupportedVersion), Max: int32(f.MaxSupportedVersion)})
	}
	return k
}
