package server

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metrics counts what the server does. A nil *Metrics counts nothing. The series of an API key appear with its first request; keys that Kafka does not have
// share one label, so a client cannot make more of them.
type Metrics struct {
	requests      *prometheus.CounterVec
	latency       *prometheus.HistogramVec
	bytesIn       prometheus.Counter
	bytesOut      prometheus.Counter
	open          prometheus.Gauge
	refused       prometheus.Counter
	requestMemory prometheus.Gauge
	replyMemory   prometheus.Gauge
	throttled     prometheus.Counter

	keys [knownKeys + 1]atomic.Pointer[keyMetrics] // resolved once: no label look-up per request
}

// knownKeys is above Kafka's highest API key; the last place is for all others.
const knownKeys = 128

type keyMetrics struct {
	name    string
	success prometheus.Counter
	latency prometheus.Observer
}

// NewMetrics registers the server's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottla_requests_total", Help: "Requests answered, by API key and the first error code of the reply.",
		}, []string{"api", "error"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ottla_request_duration_seconds", Help: "Time from a complete request frame to its reply having been sent.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2.5, 16),
		}, []string{"api"}),
		bytesIn:       prometheus.NewCounter(prometheus.CounterOpts{Name: "ottla_network_received_bytes_total", Help: "Bytes read from clients."}),
		bytesOut:      prometheus.NewCounter(prometheus.CounterOpts{Name: "ottla_network_sent_bytes_total", Help: "Bytes sent to clients."}),
		open:          prometheus.NewGauge(prometheus.GaugeOpts{Name: "ottla_connections", Help: "Open client connections."}),
		refused:       prometheus.NewCounter(prometheus.CounterOpts{Name: "ottla_connections_refused_total", Help: "Connections closed at once because of a limit."}),
		requestMemory: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ottla_request_memory_bytes", Help: "Bytes of the memory budget that hold requests."}),
		replyMemory:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "ottla_reply_memory_bytes", Help: "Bytes of the memory budget that hold replies and what waits for them."}),
		throttled:     prometheus.NewCounter(prometheus.CounterOpts{Name: "ottla_throttled_requests_total", Help: "Requests after which a connection was paused."}),
	}
	reg.MustRegister(m.requests, m.latency, m.bytesIn, m.bytesOut, m.open, m.refused, m.requestMemory, m.replyMemory, m.throttled)
	return m
}

// key finds the counters of an API key.
func (m *Metrics) key(key int16) *keyMetrics {
	i := int(key)
	if i < 0 || i >= knownKeys {
		i = knownKeys
	}
	if k := m.keys[i].Load(); k != nil {
		return k
	}
	name := kmsg.NameForKey(int16(i))
	k := &keyMetrics{name: name, success: m.requests.WithLabelValues(name, "NONE"), latency: m.latency.WithLabelValues(name)}
	m.keys[i].Store(k)
	return k
}

// answered counts one reply that has left.
func (m *Metrics) answered(key, errorCode int16, took time.Duration) {
	if m == nil {
		return
	}
	k := m.key(key)
	k.latency.Observe(took.Seconds())
	if errorCode == 0 {
		k.success.Inc()
		return
	}
	m.requests.WithLabelValues(k.name, errorName(errorCode)).Inc()
}

// errorName is Kafka's name of an error code.
func errorName(code int16) string {
	var k *kerr.Error
	if errors.As(kerr.ErrorForCode(code), &k) {
		return k.Message
	}
	return strconv.Itoa(int(code))
}

func (m *Metrics) received(n int) {
	if m != nil {
		m.bytesIn.Add(float64(n))
	}
}

func (m *Metrics) sent(n int) {
	if m != nil {
		m.bytesOut.Add(float64(n))
	}
}

func (m *Metrics) connection(delta float64) {
	if m != nil {
		m.open.Add(delta)
	}
}

func (m *Metrics) refuse() {
	if m != nil {
		m.refused.Inc()
	}
}

func (m *Metrics) setRequestMemory(used int64) {
	if m != nil {
		m.requestMemory.Set(float64(used))
	}
}

func (m *Metrics) setReplyMemory(used int64) {
	if m != nil {
		m.replyMemory.Set(float64(used))
	}
}

func (m *Metrics) throttle() {
	if m != nil {
		m.throttled.Inc()
	}
}
