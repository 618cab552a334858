//go:build failpoint

package ottla

import (
	"fmt"
	"io"
	"net/http"

	"ottla/log/vfs"
)

// maxFailpoints bounds a list of failpoints, in bytes.
const maxFailpoints = 64 << 10

// serveFailpoints lets PUT /debug/failpoint replace the list of failpoints (vfs.ParseFailpoints) by its body; an empty one clears it. A list that does not parse changes nothing.
func serveFailpoints(mux *http.ServeMux, disk vfs.FS) {
	faulty, ok := disk.(*vfs.Faulty)
	if !ok {
		return // the embedding program brought its own disk
	}
	mux.HandleFunc("PUT /debug/failpoint", func(w http.ResponseWriter, r *http.Request) {
		list, err := io.ReadAll(io.LimitReader(r.Body, maxFailpoints))
		var rules []vfs.Rule
		if err == nil {
			rules, err = vfs.ParseFailpoints(string(list))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		faulty.Set(rules...)
		fmt.Fprintln(w, "ok")
	})
}
