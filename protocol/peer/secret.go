package peer

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Secret is what the nodes of a cluster know and nobody else. It never travels, and prints as stars.
type Secret struct{ key []byte }

// A secret is text on one line, so that it fits a file and a variable of the environment. Ours is 32 random bytes in base64; anybody else's has at least minSecret characters.
const (
	minSecret  = 16
	maxSecret  = 1 << 10
	mintedSize = 32
)

// ErrSecret says what is wrong with a secret's text, and never the text.
var ErrSecret = errors.New("the cluster's secret")

// MintSecret makes the text of a new secret, without a line end.
func MintSecret() string {
	var b [mintedSize]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseSecret reads the text of a secret: white space around it does not count. ErrSecret: it is shorter than 16 characters or longer than 1024, or has more than one line.
func ParseSecret(text string) (Secret, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) < minSecret:
		return Secret{}, fmt.Errorf("%w has %d characters: less than %d can be guessed", ErrSecret, len(text), minSecret)
	case len(text) > maxSecret:
		return Secret{}, fmt.Errorf("%w has more than %d characters", ErrSecret, maxSecret)
	case strings.ContainsAny(text, "\r\n"):
		return Secret{}, fmt.Errorf("%w has more than one line", ErrSecret)
	}
	return Secret{[]byte(text)}, nil
}

// IsZero tells whether there is no secret: nothing can be proved then, and nobody is believed.
func (s Secret) IsZero() bool { return len(s.key) == 0 }

const hidden = "***"

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(hidden)) }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
