package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxProperties bounds a property file, in bytes. A real one has a few thousand.
const maxProperties = 1 << 20

// ErrProperties says that a property file cannot be read as one.
var ErrProperties = errors.New("malformed properties")

// ParseProperties reads a Java property file such as Kafka's server.properties: "key=value", "key: value" or "key value" lines, comments that begin with # or !,
// lines continued by a backslash, and the escapes \t \n \r \f \uXXXX. A key that comes again replaces what was before. Files are UTF-8.
func ParseProperties(r io.Reader) (map[string]string, error) {
	limited := &io.LimitedReader{R: r, N: maxProperties + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxProperties+2)
	lines.Split(scanLine)
	out := map[string]string{}
	for number := 1; lines.Scan(); number++ {
		line := trimBlank(lines.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		first := number
		for continued(line) {
			line = line[:len(line)-1]
			if !lines.Scan() {
				break
			}
			number++
			line += trimBlank(lines.Text())
		}
		key, value, err := property(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", first, err)
		}
		out[key] = value
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrProperties, maxProperties)
	}
	return out, lines.Err()
}

// scanLine ends lines at \n, \r\n and, as Java does, at a lone \r.
func scanLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, b := range data {
		switch {
		case b == '\n':
			return i + 1, data[:i], nil
		case b == '\r' && i+1 < len(data) && data[i+1] == '\n':
			return i + 2, data[:i], nil
		case b == '\r' && (i+1 < len(data) || atEOF):
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

const blanks = " \t\f"

func trimBlank(line string) string { return strings.TrimLeft(line, blanks) }

// continued tells whether a line ends in an odd number of backslashes.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// property cuts one logical line: the key ends at the first blank, '=' or ':' that is not escaped; one '=' or ':' with blanks around it separates.
func property(line string) (key, value string, err error) {
	end := 0
	for end < len(line) && !strings.ContainsRune(blanks+"=:", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	rest := trimBlank(line[end:])
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = trimBlank(rest[1:])
	}
	if key, err = unescape(line[:end]); err != nil {
		return "", "", err
	}
	value, err = unescape(rest)
	return key, value, err
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			r, used, err := unicodeEscapes(s[i-1:])
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
			i += used - 2
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String(), nil
}

// unicodeEscapes reads \uXXXX, or the two of a surrogate pair, from the start of s; used is in bytes.
func unicodeEscapes(s string) (r rune, used int, err error) {
	first, ok := unicodeEscape(s)
	if !ok {
		return 0, 0, fmt.Errorf(`%w: bad \uxxxx escape`, ErrProperties)
	}
	if !utf16.IsSurrogate(first) {
		return first, 6, nil
	}
	if second, ok := unicodeEscape(s[6:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12, nil
		}
	}
	return utf8.RuneError, 6, nil
}

func unicodeEscape(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}
