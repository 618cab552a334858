//go:build failpoint

package ottla

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"ottla/log/vfs"
)

// TestFailpointsAreSetOverHTTP: a list, an empty one, and one that is none and changes nothing.
func TestFailpointsAreSetOverHTTP(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem())
	mux := http.NewServeMux()
	serveFailpoints(mux, disk)
	for _, step := range []struct {
		list string
		code int
		err  error
	}{{"eio:stat:*", 200, syscall.EIO}, {"nonsense", 400, syscall.EIO}, {"", 200, nil}} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("PUT", "/debug/failpoint", strings.NewReader(step.list)))
		if w.Code != step.code {
			t.Errorf("%q: answer %d", step.list, w.Code)
		}
		if _, err := disk.Stat("/"); !errors.Is(err, step.err) {
			t.Errorf("%q: %v", step.list, err)
		}
	}
}
