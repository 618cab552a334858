package handlers

// ApiVersions (key 18), versions 0 to 5: what this broker speaks. The first request of nearly every connection, allowed before authentication.
//
//	v0  keys with version ranges (KIP-35)
//	v1  throttle time
//	v2  throttling after the response (KIP-219)
//	v3  flexible; name and version of the client's software (KIP-511); features (KIP-584)
//	v4  features with a lowest version of 0, which older clients cannot read and are not told (KIP-1022)
//	v5  the cluster id and node id that the client believes it talks to (KIP-1242): REBOOTSTRAP_REQUIRED if it is another, INVALID_REQUEST if it names only one
//
// A newer version than these is answered in the layout of version 0 with UNSUPPORTED_VERSION and the range of this key, so that the client can ask again (KIP-511).
// The response's header has no tags in any version. A software name or version that does not match KIP-511's pattern is INVALID_REQUEST, without keys.
//
// Features: supported is what this broker registered, finalized what the metadata says, with the image's offset as epoch. A feature whose level is 0 is off and not listed.
// Differs from Apache Kafka: nothing known.

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

const keyAPIVersions = 18

func (h *Handlers) apiVersions(row *row, c *server.Call) {
	if c.Version < row.min || c.Version > row.max {
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.ErrorCode, resp.ApiKeys = kerr.UnsupportedVersion.Code, []kmsg.ApiVersionsResponseApiKey{row.advertise()}
		c.Version = 0
		c.Reply.SetError(resp.ErrorCode)
		fill(c, resp)
		c.Done()
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	if err := wire.Decode(req, c.Version, c.Body); err != nil {
		c.Close(err)
		return
	}
	r := &request{Handlers: h, call: c, row: row}
	fill(c, r.apiVersions(req))
	c.Done()
}

func (r *request) apiVersions(req *kmsg.ApiVersionsRequest) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	img := r.Controller.Image()
	if err := r.checkCaller(img, req); err != nil {
		resp.ErrorCode = r.code(err)
		return resp
	}
	if r.version() >= 3 {
		r.call.Conn.SetSoftware(req.ClientSoftwareName, req.ClientSoftwareVersion)
	}
	scope := r.scopeOf(r.call)
	for _, row := range r.index {
		if row != nil && row.scope&scope != 0 {
			resp.ApiKeys = append(resp.ApiKeys, row.advertise())
		}
	}
	resp.SupportedFeatures = r.supportedFeatures(img)
	resp.FinalizedFeaturesEpoch = int64(img.Offset())
	for name, level := range img.Features() {
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MaxVersionLevel, f.MinVersionLevel = name, level, level
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	}
	return resp
}

// checkCaller is what KIP-511 and KIP-1242 have the client say about itself and about us.
func (r *request) checkCaller(img *image.Image, req *kmsg.ApiVersionsRequest) error {
	if r.version() >= 3 && (!validSoftware(req.ClientSoftwareName) || !validSoftware(req.ClientSoftwareVersion)) {
		return kerr.InvalidRequest
	}
	if r.version() < 5 {
		return nil
	}
	switch named := req.ClusterID != nil; {
	case named != (req.NodeID >= 0):
		return kerr.InvalidRequest
	case named && (*req.ClusterID != img.ClusterID() || protocol.BrokerID(req.NodeID) != r.Broker):
		return kerr.RebootstrapRequired
	}
	return nil
}

// validSoftware is KIP-511's [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
func validSoftware(s string) bool {
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1 && (c == '-' || c == '.')
		if !inner && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

func (r *request) supportedFeatures(img *image.Image) []kmsg.ApiVersionsResponseSupportedFeature {
	var out []kmsg.ApiVersionsResponseSupportedFeature
	for name, supported := range r.self(img).Features {
		if supported.Min == 0 && r.version() < 4 {
			continue
		}
		f := kmsg.NewApiVersionsResponseSupportedFeature()
		f.Name, f.MinVersion, f.MaxVersion = name, supported.Min, supported.Max
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b kmsg.ApiVersionsResponseSupportedFeature) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

func (r *row) advertise() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = r.key, r.advertised, r.max
	return k
}
