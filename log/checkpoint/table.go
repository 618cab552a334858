package checkpoint

import (
	"bytes"
	"math"
	"strconv"
)

// A table file is text:
//
//	0        version
//	2        number of lines that follow
//	a 0 15   fields, separated by single spaces
//	b 3 7
//
// An empty file is an empty table: Kafka creates the file before it has something to say.

const tableVersion = 0

// appendTableHead begins a table of count lines.
func appendTableHead(b []byte, count int) []byte {
	b = strconv.AppendInt(b, tableVersion, 10)
	b = append(b, '\n')
	b = strconv.AppendInt(b, int64(count), 10)
	return append(b, '\n')
}

// parseTable calls entry with the fields of each line. want is the number of fields; field values alias data.
func parseTable(data []byte, want int, entry func(fields [][]byte) error) error {
	if len(data) == 0 {
		return nil
	}
	t := lines{rest: data}
	if version, ok := t.number(); !ok || version != tableVersion {
		return malformed("version is not %d", tableVersion)
	}
	count, ok := t.number()
	if !ok {
		return malformed("number of lines is missing")
	}
	fields := make([][]byte, 0, want)
	for number := int64(0); number < count; number++ {
		line, ok := t.next()
		if !ok {
			return malformed("%d lines, %d announced", number, count)
		}
		if fields = cut(fields[:0], line, want); len(fields) != want {
			return malformed("line %d has not %d fields", number+1, want)
		}
		if err := entry(fields); err != nil {
			return err
		}
	}
	if _, more := t.next(); more {
		return malformed("more lines than the %d announced", count)
	}
	return nil
}

// lines hands out what lies between line ends.
type lines struct{ rest []byte }

func (l *lines) next() ([]byte, bool) {
	if len(l.rest) == 0 {
		return nil, false
	}
	line, rest, _ := bytes.Cut(l.rest, []byte{'\n'})
	l.rest = rest
	return bytes.TrimSuffix(line, []byte{'\r'}), true
}

func (l *lines) number() (int64, bool) {
	line, ok := l.next()
	if !ok {
		return 0, false
	}
	return parseNumber(line, math.MaxInt32)
}

// cut appends the fields of line to fields; one more than want tells that there are too many.
func cut(fields [][]byte, line []byte, want int) [][]byte {
	for len(fields) <= want {
		field, rest, more := bytes.Cut(line, []byte{' '})
		fields = append(fields, field)
		if !more {
			break
		}
		line = rest
	}
	return fields
}

// parseNumber reads a decimal from 0 to high.
func parseNumber(field []byte, high int64) (int64, bool) {
	if len(field) == 0 || len(field) > 19 || field[0] < '0' || field[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(field), 10, 64)
	return n, err == nil && n <= high
}
