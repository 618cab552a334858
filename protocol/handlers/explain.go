package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// GroupExplainer tells operators what Kafka's protocol has no words for: who a rebalance waits for, and why there was one. A coordinator may be one.
type GroupExplainer interface {
	// Explain describes a group. Errors: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, GROUP_ID_NOT_FOUND, COORDINATOR_NOT_AVAILABLE; that of ctx.
	Explain(ctx context.Context, group string) (GroupExplanation, error)
}

// GroupExplanation is a group at one moment.
type GroupExplanation struct {
	Group string `json:"group"`
	// State is Kafka's: Empty, PreparingRebalance, CompletingRebalance, Stable. Since is when it began; zero if that was before this broker coordinated the group.
	State      string            `json:"state"`
	Since      time.Time         `json:"since,omitzero"`
	Generation int32             `json:"generation"`
	Leader     string            `json:"leader,omitempty"` // member id
	Members    []ExplainedMember `json:"members"`
	// Rebalance is the one under way, or the last; nil if this broker has seen none.
	Rebalance *ExplainedRebalance `json:"rebalance,omitempty"`
}

// ExplainedMember is one member of a group.
type ExplainedMember struct {
	ID         string    `json:"id"`
	InstanceID *string   `json:"instance_id,omitempty"`
	ClientID   string    `json:"client_id"`
	Host       string    `json:"host"` // "/127.0.0.1", as Kafka writes it
	Joined     time.Time `json:"joined,omitzero"`
	// Awaited says that the group cannot go on without it: in PreparingRebalance it has not joined again, in CompletingRebalance it is the leader, whose assignment is missing.
	Awaited bool `json:"awaited"`
}

// ExplainedRebalance is one rebalance.
type ExplainedRebalance struct {
	Reason string    `json:"reason"` // in words: who joined, left or fell silent
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"` // zero while it is under way; of a group that its last member leaves it is when it began
	// Deadline is when those who have not come by then are put out; zero once it is over.
	Deadline time.Time `json:"deadline,omitzero"`
}

// ExplainGroups serves GET ?group=NAME over HTTP with a GroupExplanation in JSON. 404: there is no such group; 421: another broker coordinates it; 503: ask again later.
func ExplainGroups(e GroupExplainer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		group := r.URL.Query().Get("group")
		if group == "" {
			http.Error(w, "which group? ?group=NAME", http.StatusBadRequest)
			return
		}
		explanation, err := e.Explain(r.Context(), group)
		if err != nil {
			http.Error(w, *protocol.ErrorMessage(err), explainStatus(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(explanation) // fails only if the reader has gone
	})
}

func explainStatus(err error) int {
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		return http.StatusNotFound
	case errors.Is(err, kerr.NotCoordinator):
		return http.StatusMisdirectedRequest
	case errors.Is(err, kerr.CoordinatorLoadInProgress), errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
