//go:build clients

package clients

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolCases are about frames and headers: what a hostile or a broken client sends before a handler sees anything.
func protocolCases() []rawCase {
	var cases []rawCase
	for _, key := range []int16{-1, 4, 52, 999, 10_000, 32767} {
		cases = append(cases, rawCase{fmt.Sprintf("key %d", key), func(x *exchange) {
			id := "raw"
			x.askBytes(fmt.Sprintf("key %d", key), rawHeader{key: key, clientID: &id}, make([]byte, 16))
		}})
	}
	for key, r := range rawKeys {
		for _, v := range []int16{-1, r.min - 1, r.max + 1} {
			if v == -1 && r.min == 0 || key == 18 && v > 0 {
				continue
			}
			cases = append(cases, rawCase{fmt.Sprintf("%s has no v%d", kmsg.NameForKey(key), v), func(x *exchange) {
				req := kmsg.RequestForKey(key)
				req.SetVersion(max(0, min(v, r.max)))
				h := headerOf(req)
				h.version = v
				x.askBytes(fmt.Sprintf("%s v%d", kmsg.NameForKey(key), v), h, req.AppendTo(nil))
			}})
		}
	}
	return append(append(cases, headerCases()...), frameCases()...)
}

func headerCases() []rawCase {
	metadata := func(version int16, change func(h *rawHeader, body []byte) []byte) func(x *exchange) {
		return func(x *exchange) {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = []kmsg.MetadataRequestTopic{}
			req.SetVersion(version)
			h := headerOf(req)
			body := change(&h, req.AppendTo(nil))
			x.askBytes(fmt.Sprintf("Metadata v%d with client id %v, header tags %x, body %x", version, h.clientID != nil, h.tags, body), h, body)
		}
	}
	client := func(id *string) func(*rawHeader, []byte) []byte {
		return func(h *rawHeader, b []byte) []byte { h.clientID = id; return b }
	}
	tags := func(tags ...byte) func(*rawHeader, []byte) []byte {
		return func(h *rawHeader, b []byte) []byte { h.tags = tags; return b }
	}
	body := func(f func([]byte) []byte) func(*rawHeader, []byte) []byte {
		return func(_ *rawHeader, b []byte) []byte { return f(b) }
	}
	empty, long, latin := "", strings.Repeat("x", 32767), "caf\xe9"
	return []rawCase{
		{"header: no client id", metadata(1, client(nil))},
		{"header: no client id, flexible", metadata(9, client(nil))},
		{"header: empty client id", metadata(9, client(&empty))},
		{"header: longest client id", metadata(9, client(&long))},
		{"header: client id that is no UTF-8", metadata(9, client(&latin))},
		{"header: a tag", metadata(9, tags(1, 7, 3, 'a', 'b', 'c'))},
		{"header: tags in disorder", metadata(9, tags(2, 7, 1, 'a', 3, 1, 'b'))},
		{"header: a tag twice", metadata(9, tags(2, 7, 1, 'a', 7, 1, 'b'))},
		{"header: a tag beyond the frame", metadata(9, tags(1, 7, 0x7f, 'a'))},
		{"header: more tags than bytes", metadata(9, tags(0xff, 0xff, 0xff, 0xff, 0x07))},
		{"header: a tag count that does not end", metadata(9, tags(0xff, 0xff, 0xff, 0xff, 0xff, 0xff))},
		{"header: version 1 for a flexible request", metadata(9, func(h *rawHeader, b []byte) []byte { h.flexible = false; return b })},
		{"body: trailing bytes", metadata(9, body(func(b []byte) []byte { return append(b, 1, 2, 3) }))},
		{"body: trailing bytes, not flexible", metadata(4, body(func(b []byte) []byte { return append(b, 1, 2, 3) }))},
		{"body: cut", metadata(9, body(func(b []byte) []byte { return b[:len(b)-2] }))},
		{"body: empty", metadata(9, body(func([]byte) []byte { return nil }))},
		{"body: an unknown tag", metadata(9, body(func(b []byte) []byte { return append(b[:len(b)-1], 1, 9, 1, 'x') }))},
		{"body: an array beyond the frame", metadata(4, body(func(b []byte) []byte { binary.BigEndian.PutUint32(b, 1<<30); return b }))},
		{"body: an array of negative length", metadata(4, body(func(b []byte) []byte { binary.BigEndian.PutUint32(b, 1<<32-2); return b }))},
		{"body: a bool of 2", metadata(4, body(func(b []byte) []byte { b[4] = 2; return b }))},
		{"body: a string of negative length", metadata(4, body(func([]byte) []byte { return []byte{0, 0, 0, 1, 0xff, 0xfe, 0} }))},
		{"body: a null name where none may be", metadata(4, body(func([]byte) []byte { return []byte{0, 0, 0, 1, 0xff, 0xff, 0} }))},
	}
}

// frameCases send bytes without asking whether they are a request.
func frameCases() []rawCase {
	frame := func(b ...byte) func(x *exchange) {
		return func(x *exchange) {
			x.dial()
			what := fmt.Sprintf("bytes %x", b)
			if err := x.conn.send(b); err != nil {
				x.note(what, nil, 0, err)
				return
			}
			_, _, err := x.await(kmsg.NewPtrMetadataResponse(), 0, 1)
			x.note(what, nil, 0, err)
		}
	}
	cases := []rawCase{
		{"frame: negative size", frame(0xff, 0xff, 0xff, 0xff)},
		{"frame: size 0", frame(0, 0, 0, 0)},
		{"frame: size 1", frame(0, 0, 0, 1, 0)},
		{"frame: size 2 GiB less one", frame(0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0)},
		{"frame: HTTP", frame([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")...)},
		{"frame: TLS", frame(0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3)},
		{"frame: a client id beyond it", frame(0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff)},
		{"frame: a client id of negative length", frame(0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xf0)},
		{"requests ahead of their answers", pipelined},
	}
	for _, null := range nullArrays {
		cases = append(cases, rawCase{fmt.Sprintf("null array: %s v%d", kmsg.NameForKey(null.key), null.version), func(x *exchange) {
			req := kmsg.RequestForKey(null.key)
			req.SetVersion(null.version)
			x.askBytes(fmt.Sprintf("%s v%d body %x", kmsg.NameForKey(null.key), null.version, null.body), headerOf(req), null.body)
		}})
	}
	return cases
}

// nullArrays are bodies whose array is null where the protocol wants one.
var nullArrays = []struct {
	key, version int16
	body         []byte
}{
	{0, 3, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 100, 0xff, 0xff, 0xff, 0xff}},
	{0, 9, []byte{0, 0xff, 0xff, 0, 0, 0, 100, 0, 0}},
	{1, 4, kbin.AppendInt32([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0}, -1)},
	{2, 1, kbin.AppendInt32(kbin.AppendInt32(nil, -1), -1)},
	{19, 2, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 100, 0}},
	{20, 1, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 100}},
	{21, 0, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 100}},
	{23, 2, []byte{0xff, 0xff, 0xff, 0xff}},
	{32, 1, []byte{0xff, 0xff, 0xff, 0xff, 0}},
	{37, 0, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 100, 0}},
	{44, 0, []byte{0xff, 0xff, 0xff, 0xff, 0}},
	{75, 0, []byte{0, 0, 0, 0, 10, 0xff, 0}},
}

// pipelined sends three requests in one write and takes their answers in order.
func pipelined(x *exchange) {
	x.dial()
	var all []byte
	first := x.conn.correlation + 1
	reqs := []kmsg.Request{kmsg.NewPtrApiVersionsRequest(), listOf("never-created", -1), kmsg.NewPtrInitProducerIDRequest(), listOf("never-created", -2)}
	for _, req := range reqs {
		req.SetVersion(1)
		all = append(all, x.conn.frame(headerOf(req), req.AppendTo(nil))...)
	}
	if err := x.conn.send(all); err != nil {
		panic(setupError{err})
	}
	for i, req := range reqs {
		resp, leftOver, err := x.await(req.ResponseKind(), 1, first+int32(i))
		x.note(fmt.Sprintf("request %d ahead", i), resp, leftOver, err)
		if err != nil {
			return
		}
	}
}

// versionsCases are about ApiVersions, and DescribeCluster, which clients ask next.
func versionsCases() []rawCase {
	cases := each(18, 0, "api versions", func(x *exchange, v int16) {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "raw", "1.0"
		x.ask(v, req)
		x.ask(v, req)
	})
	for _, s := range []struct{ name, version string }{{"", "1"}, {"raw", ""}, {"bad name", "1"}, {"-raw", "1"}, {"raw-", "1"}, {"raw", "1_0"}, {"a.b-c", "v1.2-x"}, {strings.Repeat("n", 300), "1"}, {"ünicode", "1"}} {
		cases = append(cases, rawCase{fmt.Sprintf("api versions: software %.12q %q", s.name, s.version), func(x *exchange) {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = s.name, s.version
			x.ask(3, req)
			x.ask(0, req)
		}})
	}
	for _, v := range []int16{6, 99, 32767, -1} {
		cases = append(cases, rawCase{fmt.Sprintf("api versions: too new, v%d", v), func(x *exchange) {
			id := "raw"
			x.dial()
			err := x.conn.send(x.conn.frame(rawHeader{key: 18, version: v, clientID: &id, flexible: v > 0}, []byte{4, 'r', 'a', 'w', 2, '1', 0}))
			if err != nil {
				panic(setupError{err})
			}
			resp, leftOver, err := x.await(kmsg.NewPtrApiVersionsResponse(), 0, x.conn.correlation)
			x.note(fmt.Sprintf("ApiVersions v%d", v), resp, leftOver, err)
			if err == nil {
				x.ask(3, kmsg.NewPtrApiVersionsRequest())
			}
		}})
	}
	return append(cases, each(60, 0, "describe cluster", func(x *exchange, v int16) {
		for _, endpoint := range []int8{1, 2, 0, 3} {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.EndpointType = endpoint
			req.IncludeClusterAuthorizedOperations = endpoint == 1
			req.IncludeFencedBrokers = endpoint == 1
			x.ask(v, req)
		}
		x.ask(v, kmsg.NewPtrDescribeClusterRequest())
	})...)
}
