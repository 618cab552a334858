package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := startMem(t, Options{Metrics: NewMetrics(reg), MaxConnections: 1, Dispatcher: dispatcherFunc(func(c *Call) {
			switch c.CorrelationID {
			case 2:
				c.Reply.SetError(3)
			case 3:
				c.Throttle(time.Millisecond)
			}
			echo(c)
		})})
		c := f.dial()
		wantClosed(t, f.dial())
		for i := range int32(5) {
			key := int16(keyEcho)
			if i == 4 {
				key = 20_000
			}
			send(t, c, request(key, i, "12345"))
			wantReply(t, c, i, "12345")
		}
		want := `
# HELP ottla_requests_total Requests answered, by API key and the first error code of the reply.
# TYPE ottla_requests_total counter
ottla_requests_total{api="Metadata",error="NONE"} 3
ottla_requests_total{api="Metadata",error="UNKNOWN_TOPIC_OR_PARTITION"} 1
ottla_requests_total{api="Unknown",error="NONE"} 1
# HELP ottla_connections Open client connections.
# TYPE ottla_connections gauge
ottla_connections 1
# HELP ottla_connections_refused_total Connections closed at once because of a limit.
# TYPE ottla_connections_refused_total counter
ottla_connections_refused_total 1
# HELP ottla_network_received_bytes_total Bytes read from clients.
# TYPE ottla_network_received_bytes_total counter
ottla_network_received_bytes_total 95
# HELP ottla_network_sent_bytes_total Bytes sent to clients.
# TYPE ottla_network_sent_bytes_total counter
ottla_network_sent_bytes_total 65
# HELP ottla_throttled_requests_total Requests after which a connection was paused.
# TYPE ottla_throttled_requests_total counter
ottla_throttled_requests_total 1
`
		synctest.Wait()
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "ottla_requests_total", "ottla_connections", "ottla_connections_refused_total",
			"ottla_network_received_bytes_total", "ottla_network_sent_bytes_total", "ottla_throttled_requests_total"); err != nil {
			t.Error(err)
		}
		if n, err := testutil.GatherAndCount(reg, "ottla_request_duration_seconds"); n != 2 || err != nil {
			t.Errorf("%d latency series, %v", n, err)
		}
		f.shutdown()
	})
}
