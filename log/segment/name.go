package segment

import (
	"fmt"
	"strconv"
	"strings"

	"ottla/protocol"
)

// Suffixes of the files of a partition's folder. All but the last are preceded by the base offset in twenty digits.
const (
	LogSuffix       = ".log"
	IndexSuffix     = ".index"
	TimeIndexSuffix = ".timeindex"
	TxnIndexSuffix  = ".txnindex"
	SnapshotSuffix  = ".snapshot"
	DeletedSuffix   = ".deleted" // behind one of the others: no longer part of the log, removed soon
	cleanedSuffix   = ".cleaned" // behind LogSuffix: the new content of a cut or compacted segment, while it is written
	swapSuffix      = ".swap"    // behind LogSuffix: a compacted segment that is to take the place of others, see swap.go
)

const digits = 20

// Name is the file name of base and suffix: 00000000000000000042.log.
func Name(base protocol.Offset, suffix string) string {
	return fmt.Sprintf("%0*d%s", digits, base, suffix)
}

// ParseName reads Name's form; ok is false for every other file.
func ParseName(name string) (base protocol.Offset, suffix string, ok bool) {
	if len(name) <= digits || strings.IndexByte(name, '.') != digits {
		return 0, "", false
	}
	n, err := strconv.ParseUint(name[:digits], 10, 63)
	if err != nil {
		return 0, "", false
	}
	return protocol.Offset(n), name[digits:], true
}
