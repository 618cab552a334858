package decide

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// Limits on what one broker may register.
const (
	maxEndpoints   = 64
	maxFeatures    = 256
	maxDirectories = 1024
)

// registerBroker decides key 62. A new incarnation gets a new epoch, the offset of the record. It is fenced until a heartbeat says that it has applied this (heartbeat.go);
// what its predecessor led goes to others. The broker of the node that decides has applied it when it is answered: it is in service at once, and takes back what it
// led. The same incarnation may amend its registration and keeps its epoch.
func (d *decision) registerBroker(req *kmsg.BrokerRegistrationRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	id := protocol.BrokerID(req.BrokerID)
	was := d.view.Broker(id)
	amends := was != nil && was.Incarnation == protocol.ID(req.IncarnationID)
	online := make([]protocol.DirectoryID, len(req.LogDirs))
	for n, dir := range req.LogDirs {
		online[n] = dir
	}
	err := d.checkRegistration(req)
	if err == nil {
		err = d.checkAssigned(id, online)
	}
	if err == nil && was != nil && !amends && d.sessions().Alive(id) {
		err = protocol.Errorf(kerr.DuplicateBrokerRegistration, "Another broker is registered with that broker id.")
	}
	if err != nil {
		resp.ErrorCode, resp.BrokerEpoch = protocol.ErrorCode(err), -1
		return d.outcome(resp, false)
	}
	k := registration(req)
	d.records = append(d.records, record.Of(k))
	if amends {
		resp.BrokerEpoch, k.Fenced, k.InControlledShutdown = int64(was.Epoch), was.Fenced, was.InControlledShutdown
		return d.divisible(resp)
	}
	resp.BrokerEpoch, k.Fenced = int64(d.At), id != d.view.ControllerID()
	(&standing{decision: d, broker: id, leads: !k.Fenced, online: online, fresh: true}).settle()
	return d.divisible(resp)
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
		return protocol.Errorf(kerr.InvalidRegistration, "No directories specified in request")
	}
	for n, id := range req.LogDirs {
		switch {
		case reserved(id):
			return protocol.Errorf(kerr.InvalidRegistration, "Reserved directory ID in request")
		case slices.Contains(req.LogDirs[:n], id):
			return protocol.Errorf(kerr.InvalidRegistration, "Duplicate directory ID in request")
		}
	}
	for _, b := range d.view.Brokers() {
		for _, id := range b.Dirs {
			if b.ID != protocol.BrokerID(req.BrokerID) && slices.Contains(req.LogDirs, [16]byte(id)) {
				return protocol.Errorf(kerr.InvalidRegistration, "Broker %d is already registered with directory %v", b.ID, id)
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
	ranges := make([]featureRange, len(req.Features))
	for n, f := range req.Features {
		ranges[n] = featureRange{f.Name, image.FeatureRange{Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion}}
	}
	endpoints := make([]*record.Endpoint, len(req.Listeners))
	for n, l := range req.Listeners {
		endpoints[n] = endpoint(l.Name, l.Host, l.Port, l.SecurityProtocol)
	}
	return d.checkNode("broker", endpoints, ranges)
}

// featureRange is what a node says of one feature.
type featureRange struct {
	name string
	image.FeatureRange
}

// checkNode is what a broker's registration and a controller's are checked for alike.
func (d *decision) checkNode(kind string, endpoints []*record.Endpoint, ranges []featureRange) error {
	told := make(map[string]image.FeatureRange, len(ranges))
	for _, r := range ranges {
		told[r.name] = r.FeatureRange
	}
	for name, level := range d.view.Features() {
		if r := rangeOf(name, told); level < r.Min || level > r.Max {
			return protocol.Errorf(kerr.UnsupportedVersion,
				"Unable to register because the %s does not support finalized version %d of %s. The %s wants a version between %d and %d, inclusive.",
				kind, level, name, kind, r.Min, r.Max)
		}
	}
	for _, e := range endpoints {
		if e.SecurityProtocol < 0 {
			return kerr.InvalidRequest
		}
	}
	for _, r := range ranges {
		if r.Min < 0 || r.Max < r.Min {
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
		k.Endpoints = append(k.Endpoints, endpoint(l.Name, l.Host, l.Port, l.SecurityProtocol))
	}
	for _, id := range req.LogDirs {
		k.Directories = append(k.Directories, id[:]...)
	}
	for _, f := range req.Features {
		k.Features = append(k.Features, feature(f.Name, f.MinSupportedVersion, f.MaxSupportedVersion))
	}
	sortFeatures(k.Features)
	return k
}

func endpoint(name, host string, port uint16, securityProtocol int16) *record.Endpoint {
	return &record.Endpoint{Name: text(name), Host: text(host), Port: uint32(port), SecurityProtocol: int32(securityProtocol)}
}

func feature(name string, lowest, highest int16) *record.FeatureRange {
	return &record.FeatureRange{Name: text(name), Min: int32(lowest), Max: int32(highest)}
}

// sortFeatures makes records of equal registrations equal.
func sortFeatures(list []*record.FeatureRange) {
	slices.SortFunc(list, func(a, b *record.FeatureRange) int { return strings.Compare(a.Name, b.Name) })
}
