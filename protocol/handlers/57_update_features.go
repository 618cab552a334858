package handlers

// UpdateFeatures (key 57), versions 0 to 2: changes the finalized levels of features, all that are named or none (KIP-584).
//
//	v0  a flag says that the level may go down
//	v1  the kind of the change: upgrade, safe or unsafe downgrade; validate only (KIP-778)
//	v2  no results of each feature (KIP-1022)
//
// Alter on the cluster is needed. What is wrong with one feature fails all, with INVALID_UPDATE_VERSION and Kafka's words. A feature that is named twice is changed as the last of them says.
// Differs from Apache Kafka: features are those of this broker, by its own names; the format of metadata records never goes down; of several features that are wrong the first is named, where Kafka goes by a
// hash table.

import "github.com/twmb/franz-go/pkg/kmsg"

func updateFeatures(r *request, req *kmsg.UpdateFeaturesRequest) kmsg.Response {
	return administer(r, req, func(resp *kmsg.UpdateFeaturesResponse) (*int16, **string) { return &resp.ErrorCode, &resp.ErrorMessage })
}
