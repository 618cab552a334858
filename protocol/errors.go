package protocol

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// An error that goes on the wire is a *kerr.Error, usually wrapped with words for the client by Errorf. It is mapped to its code once, where the reply is written.

// wireError carries words for the client beside the code.
type wireError struct {
	kind *kerr.Error
	text string
}

func (e *wireError) Error() string { return e.text }
func (e *wireError) Unwrap() error { return e.kind }

// Errorf returns an error of the given wire kind whose text is what the client is told in the reply's error message.
func Errorf(kind *kerr.Error, format string, args ...any) error {
	return &wireError{kind: kind, text: fmt.Sprintf(format, args...)}
}

// ErrorCode is the wire code of err: 0 for nil, UNKNOWN_SERVER_ERROR (-1) for an error that is not one of the wire's.
func ErrorCode(err error) int16 {
	if err == nil {
		return 0
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	return kerr.UnknownServerError.Code
}

// ErrorMessage is the text for a reply's nullable error message: nil for nil; the words given to Errorf; else Kafka's description of the code.
// The text of an error that is not one of the wire's stays inside.
func ErrorMessage(err error) *string {
	if err == nil {
		return nil
	}
	var w *wireError
	if errors.As(err, &w) {
		return &w.text
	}
	var k *kerr.Error
	if !errors.As(err, &k) {
		k = kerr.UnknownServerError
	}
	return &k.Description
}
