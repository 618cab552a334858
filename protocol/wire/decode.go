package wire

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Decode fills req from the body of a request of the given version: Check first, then kmsg. Slices of bytes in req alias body; strings do not.
//
// ErrMalformed: the body does not follow the schema, or bytes are left over. ErrTooLarge: kmsg would allocate more than max(4 * len(body), 4 MiB) for it.
// ErrUnsupported: no schema for this version.
func Decode(req kmsg.Request, version int16, body []byte) (err error) {
	allocates, err := Check(req.Key(), version, body)
	if err != nil {
		return err
	}
	if limit := max(decodeFactor*len(body), decodeFloor); allocates > limit {
		return fmt.Errorf("key %d version %d, %d bytes for a body of %d: %w", req.Key(), version, allocates, len(body), ErrTooLarge)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("key %d version %d, decoder panicked with %v: %w", req.Key(), version, r, ErrMalformed)
		}
	}()
	req.SetVersion(version)
	if err := req.ReadFrom(body); err != nil {
		return fmt.Errorf("key %d version %d, %w: %w", req.Key(), version, err, ErrMalformed)
	}
	return nil
}
