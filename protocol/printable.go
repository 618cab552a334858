package protocol

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is s, a name that a client chose, as logs, metrics and terminals may show it: s itself if it is text without control characters, line breaks or other invisible
// ones, else quoted with those escaped. Two names are never shown as one: what begins with a quote is quoted too.
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, `"`) && strings.IndexFunc(s, invisible) < 0 {
		return s
	}
	return strconv.Quote(s)
}

func invisible(r rune) bool { return !unicode.IsPrint(r) }
