//go:build !failpoint

package ottla

import (
	"net/http"

	"ottla/log/vfs"
)

// serveFailpoints adds nothing: failpoints exist in builds with the tag failpoint alone.
func serveFailpoints(*http.ServeMux, vfs.FS) {}
