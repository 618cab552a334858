package decide

import "strings"

// text is s as a record may hold it. A client may send bytes that are not UTF-8; like Kafka, which decodes strings as they come in, we keep a mark in place of each.
func text(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
