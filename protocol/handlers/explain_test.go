package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

type fakeExplainer map[string]error

var explained = GroupExplanation{Group: "a/b c", State: "PreparingRebalance", Since: time.Unix(1000, 0).UTC(), Generation: 3, Leader: "m",
	Members:   []ExplainedMember{{ID: "m", ClientID: "app", Host: "/10.0.0.1", Joined: time.Unix(900, 0).UTC(), Awaited: true}},
	Rebalance: &ExplainedRebalance{Reason: "m2 left", Began: time.Unix(1000, 0).UTC(), Ended: time.Unix(1001, 0).UTC()}}

func (f fakeExplainer) Explain(_ context.Context, group string) (GroupExplanation, error) {
	if group == explained.Group {
		return explained, nil
	}
	return GroupExplanation{}, f[group]
}

func TestExplainGroups(t *testing.T) {
	h := ExplainGroups(fakeExplainer{"gone": kerr.GroupIDNotFound, "elsewhere": kerr.NotCoordinator, "loading": kerr.CoordinatorLoadInProgress, "broken": errors.New("secret")})
	ask := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/groups?"+query, nil))
		return w
	}
	var got GroupExplanation
	if w := ask("group=a%2Fb+c"); w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &got) != nil || !reflect.DeepEqual(got, explained) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for group, want := range map[string]int{"gone": 404, "elsewhere": 421, "loading": 503, "broken": 500, "": 400} {
		if w := ask("group=" + group); w.Code != want || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%q: %d %s", group, w.Code, w.Body)
		}
	}
}
