package runtime

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the coordinators of one internal topic on this broker.
type Metrics struct {
	shards                        prometheus.Gauge
	loads                         prometheus.Histogram
	loadedRecords, loadFailures   prometheus.Counter
	operations                    *prometheus.CounterVec
	done, undone, turnedAway      prometheus.Counter
	batches, records, bytes, fell prometheus.Counter
	latency                       prometheus.Histogram
}

// NewMetrics makes the metrics and registers them; with a nil registerer they are only counted. Each internal topic has its own, told apart by a label.
func NewMetrics(r prometheus.Registerer, topic string) *Metrics {
	labels := prometheus.Labels{"topic": topic}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &Metrics{
		shards: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ottla_coordinator_partitions", Help: "Partitions whose coordinator is loaded on this broker.", ConstLabels: labels}),
		loads: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ottla_coordinator_load_seconds", Help: "Time to load the state of one partition.", ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
		loadedRecords: counter("ottla_coordinator_loaded_records_total", "Records replayed while loading."),
		loadFailures:  counter("ottla_coordinator_load_failures_total", "Partitions that could not be loaded."),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottla_coordinator_writes_total", Help: "Operations that may write, by how they ended.", ConstLabels: labels,
		}, []string{"result"}),
		batches: counter("ottla_coordinator_appends_total", "Batches appended; those that wait together share one."),
		records: counter("ottla_coordinator_appended_records_total", "Records appended."),
		bytes:   counter("ottla_coordinator_appended_bytes_total", "Bytes appended."),
		fell:    counter("ottla_coordinator_append_failures_total", "Batches that the log refused."),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ottla_coordinator_commit_seconds", Help: "Time from an operation's decision until the high watermark has passed its records.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.000125, 2, 16),
		}),
	}
	m.done, m.undone, m.turnedAway = m.operations.WithLabelValues("committed"), m.operations.WithLabelValues("failed"), m.operations.WithLabelValues("refused")
	if r != nil {
		r.MustRegister(m.shards, m.loads, m.loadedRecords, m.loadFailures, m.operations, m.batches, m.records, m.bytes, m.fell, m.latency)
	}
	return m
}

func (m *Metrics) loaded(n int) { m.shards.Add(float64(n)) }

func (m *Metrics) load(records int, took time.Duration) {
	m.loadedRecords.Add(float64(records))
	m.loads.Observe(took.Seconds())
}

func (m *Metrics) loadFailed() { m.loadFailures.Inc() }

// unwritten counts an operation that had nothing to write.
func (m *Metrics) unwritten() { m.done.Inc() }

func (m *Metrics) committed(took time.Duration) {
	m.done.Inc()
	m.latency.Observe(took.Seconds())
}

func (m *Metrics) failed() { m.undone.Inc() }

// refused counts an operation on a shard that is not ready for it.
func (m *Metrics) refused() { m.turnedAway.Inc() }

func (m *Metrics) appended(records, bytes int) {
	m.batches.Inc()
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
}

func (m *Metrics) appendFailed() { m.fell.Inc() }
