package group

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/group/runtime"
)

// appendError is what a member is told of a failed append. The runtime has put it into coordinators' words, but for a record that is too large, of which a member knows nothing.
func appendError(err error) error {
	if errors.Is(err, kerr.MessageTooLarge) {
		return kerr.UnknownServerError
	}
	return err
}

// translated lets effects that fail hear appendError.
func translated(e runtime.Effects) runtime.Effects {
	if failed := e.Failed; failed != nil {
		e.Failed = func(err error) { failed(appendError(err)) }
	}
	return e
}

// both is the effects of two decisions as one.
func both(a, b runtime.Effects) runtime.Effects {
	return runtime.Effects{
		Records: append(a.Records, b.Records...),
		Committed: func() {
			for _, f := range []func(){a.Committed, b.Committed} {
				if f != nil {
					f()
				}
			}
		},
		Failed: func(err error) {
			for _, f := range []func(error){a.Failed, b.Failed} {
				if f != nil {
					f(err)
				}
			}
		},
	}
}
